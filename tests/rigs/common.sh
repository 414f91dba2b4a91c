# What the rigs share: a file system that can fail, a server on it, and a ledger of acknowledged writes.

work=$(mktemp -d /tmp/pikv-rig.XXXXXX)
store=$work/store disk=$work/disk server='' base='' acknowledged=() found=()
mkdir -p "$store" "$disk"

clean_up() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    umount -l "$disk" 2>/dev/null || true
    umount -l "$store" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*"
    tail -n 5 "$work/log" | cut -c1-400
    exit 1
}

# make_disk KIND MIB [MOUNT_OPTIONS]: a file system of KIND in a sparse file on a tmpfs of its own.
make_disk() {
    mount -t tmpfs -o "size=$((2 * $2))m" tmpfs "$store"
    truncate -s "$2M" "$store/image"
    case $1 in
        ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$store/image" ;;
        xfs) mkfs.xfs -q "$store/image" ;;
        btrfs) mkfs.btrfs -q -f "$store/image" > "$work/out" ;;
    esac
    # Every block has its place in the tmpfs, so that what the file system itself needs can always be written.
    cp --sparse=never "$store/image" "$store/full" && mv "$store/full" "$store/image"
    mount -o "loop${3:+,$3}" "$store/image" "$disk"
}

# Takes the place of the free blocks away: a block that the file system uses from now on cannot be written.
fill_store() {
    sync
    fstrim "$disk"
    dd if=/dev/zero of="$store/filler" bs=4k 2>/dev/null || true
}
free_store() { rm -f "$store/filler"; }

# Drops what the cache holds and the disk may not; dirty pages stay.
drop_cache() { echo 3 > /proc/sys/vm/drop_caches; }

# cut_power: the server, and what was not written to the disk, are gone; the disk is mounted again.
cut_power() {
    cp "$store/image" "$store/after"
    kill -9 "$server"
    wait "$server" 2>/dev/null || true
    umount "$disk"
    mv "$store/after" "$store/image"
    mount -o loop "$store/image" "$disk"
}

# configure DATA_DIRECTORY: one project `p`, which asks for no key.
configure() {
    mkdir -p "$1"
    "$pikv" init --config "$work/config.json" > "$work/out"
    sed -i -e 's/"enabled": true/"enabled": false/; s/first_project/p/; s/"server_port": [0-9]*/"server_port": 0/' \
        -e "s#storage_data/#$1#" "$work/config.json"
}

# try_start: `started`, or what the server says, in $result.
try_start() {
    : > "$work/log"
    "$pikv" --config "$work/config.json" > "$work/out" 2> "$work/log" &
    server=$! result=''
    for _ in $(seq 400); do
        base=$(sed -n 's/.*listening on \(127[^ ]*\).*/\1/p' "$work/log" | tail -n 1)
        if [ -n "$base" ] && curl -s -o "$work/answer" "http://$base/healthz"; then
            result=started
            return
        fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    result="not started: $(tail -n 1 "$work/log" | cut -c1-300)"
}

start() {
    try_start
    [ "$result" = started ] || fail "$result"
}

stop() {
    kill "-$1" "$server" 2> "$work/kill" || true
    wait "$server" 2>/dev/null || true
    server=''
}

# put_code KEY VALUE [PROJECT], get_code KEY [PROJECT]: the status; the answer is in $work/answer.
put_code() {
    curl -s -o "$work/answer" -w '%{http_code}' -X PUT "http://$base/api/v1/projects/${3:-p}/keys/$1" \
        -H 'Content-Type: application/json' --data-binary @- <<< "$2"
}

get_code() { curl -s -o "$work/answer" -w '%{http_code}' "http://$base/api/v1/projects/${2:-p}/keys/$1"; }

# Writes and notes that the write was acknowledged.
put() {
    local code
    code=$(put_code "$1" "$2")
    case $code in
        200 | 201) acknowledged+=("$1") ;;
        *) fail "PUT $1: $code $(head -c 300 "$work/answer")" ;;
    esac
}

check_acknowledged() {
    local lost=() name
    for name in "${acknowledged[@]}"; do
        [ "$(get_code "$name")" = 200 ] || lost+=("$name")
    done
    echo "acknowledged writes that are lost: ${#lost[@]} of ${#acknowledged[@]}"
    [ "${#lost[@]}" = 0 ] || fail "lost: ${lost[*]:0:5}"
}
