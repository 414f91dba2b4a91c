# What the rigs share. Each rig: tests/rigs/NAME PIKV_BINARY, as root, with curl. It works in a directory of
# its own, prints what it saw, and ends with 0 if nothing was lost, with 1 if something was.

set -u
pikv=$(readlink -f "${1:?usage: $0 PIKV_BINARY}")
base=$(mktemp -d /tmp/pikv-rig.XXXXXX)
pids=()
mounts=()
trap clean_up EXIT

clean_up() {
    for pid in ${pids[@]+"${pids[@]}"}; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
    for mount in ${mounts[@]+"${mounts[@]}"}; do umount -l "$mount" 2>/dev/null; done
    rm -rf "$base"
}

# config FILE DATA_DIRECTORY PROJECT...: a configuration without keys.
config() {
    local file=$1 data=$2 list=""
    shift 2
    for id in "$@"; do list+="${list:+,}{\"id\":\"$id\"}"; done
    cat >"$file" <<END
{"version":1,"server_port":0,"default":{"storage":{"persistent_file_path":"$data"},
"authentication":{"enabled":false,"save_api_key_to_file":false}},"accounts":{"enabled":false},"projects":[$list]}
END
}

# start CONFIG [COMMAND...]: starts a server, below COMMAND if there is one. Sets pid, log and url.
start() {
    local file=$1
    shift
    log=$base/log.$RANDOM
    "$@" "$pikv" serve --config "$file" >"$log.out" 2>"$log" &
    pid=$!
    pids+=("$pid")
    for _ in $(seq 100); do
        if url=http://$(sed -n 's/.*INFO listening on //p' "$log") && [ "$url" != http:// ]; then return 0; fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    echo "no start: $(tail -n 1 "$log")"
    return 1
}

put() { curl -s -o "$base/answer" -w '%{http_code}' -X PUT "$url/api/v1/projects/$1/keys/$2" -d "$3"; }
get() { curl -s "$url/api/v1/projects/$1/keys/$2?raw"; }
ready() { curl -s -o /dev/null -w '%{http_code}' "$url/readyz"; }

# put_many PROJECT PREFIX COUNT: how many of so many writes were acknowledged.
put_many() {
    local acknowledged=0 code
    for number in $(seq "$3"); do
        code=$(put "$1" "$2$number" "$number")
        case $code in 200 | 201) acknowledged=$((acknowledged + 1)) ;; esac
    done
    echo "$acknowledged"
}

# count PROJECT PREFIX: how many keys with the prefix the running server has.
count() { curl -s "$url/api/v1/projects/$1/keys?prefix=$2&limit=1000" | grep -o "\"$2[0-9]*\":" | wc -l; }

stop() { kill "$pid" && wait "$pid"; }
kill_hard() { kill -9 "$pid"; wait "$pid" 2>/dev/null; }
errors() { grep -h -E ' (ERROR|WARN) ' "$log" | cut -c1-"${COLUMNS:-400}" | sed 's/^/  log: /'; }

# verdict FOUND ACKNOWLEDGED
verdict() {
    echo "acknowledged $2, found $1 after the restart"
    if [ "$1" -lt "$2" ]; then echo "LOST $(($2 - $1))"; exit 1; fi
    echo "nothing lost"
}
