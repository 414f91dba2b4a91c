#!/bin/sh
# A trial cluster on one machine: three members of etcd and two instances of PiKV, and haproxy before these if it is
# installed. It is for trying out what happens if a part fails. It is no place for data: all parts share one disk.
set -eu

usage() {
    cat <<'END'
Usage: trial-cluster.sh [start] [--dir DIR] [--port N] [--pikv PATH] [--etcd PATH] [--without-pikv]
       trial-cluster.sh status | stop                 --dir DIR
       trial-cluster.sh kill-member N | start-member N --dir DIR
       trial-cluster.sh kill-pikv N | start-pikv N     --dir DIR

start, the default, runs until Ctrl-C or `stop`. The other commands are for a second terminal. Members and instances are
numbered from 1.

  --dir DIR       keeps the data in DIR, and continues with what is in it. Without it the directory is temporary, and is
                  removed at the end.
  --port N        uses the ports N to N+8. Without it the first nine free ones from 24790 on, in steps of ten.
  --pikv PATH     the program pikv; by default the one of this clone, else that of PATH.
  --etcd PATH     the program etcd; by default that of PATH.
  --without-pikv  starts only the members.
END
}

fail() {
    echo "trial-cluster.sh: $*" >&2
    exit 1
}

# Whether the part $1 (m1, pikv1, haproxy) runs. A number that another process has got since does not count.
runs() {
    [ -s "$dir/$1/pid" ] && ps -p "$(cat "$dir/$1/pid")" -o args= 2>/dev/null | grep -qF "$dir/$1/"
}

# Starts the part $1 with the command of its file `run`.
start_part() {
    runs "$1" && return
    sh "$dir/$1/run" >>"$dir/$1/log" 2>&1 </dev/null &
    echo $! >"$dir/$1/pid"
}

# Sends the part $2 the signal $1.
signal_part() {
    if runs "$2"; then kill -s "$1" "$(cat "$dir/$2/pid")" 2>/dev/null || true; fi
}

# Stops all parts, and waits for them. The members are last, because the instances need them.
stop_parts() {
    stop_these haproxy pikv1 pikv2
    stop_these m1 m2 m3
}

stop_these() {
    for part in "$@"; do
        signal_part TERM "$part"
        # A part that was stopped with SIGSTOP has to see it.
        signal_part CONT "$part"
    done
    for part in "$@"; do
        wait_until 15 stopped "$part" || signal_part KILL "$part"
        rm -f "$dir/$part/pid"
    done
}

stopped() {
    ! runs "$1"
}

# Waits for at most $1 seconds until the rest of the arguments, as a command, succeed.
wait_until() {
    rounds=$(($1 * 10))
    shift
    until "$@"; do
        rounds=$((rounds - 1))
        [ $rounds -gt 0 ] || return 1
        sleep 0.1
    done
}

# Whether the log of the part $1 has the text $2. Fails if the part has ended.
has_logged() {
    grep -qF "$2" "$dir/$1/log" && return
    runs "$1" || { tail -n 5 "$dir/$1/log" >&2; fail "$1 has ended; its log is $dir/$1/log"; }
    return 1
}

await_log() {
    wait_until 60 has_logged "$1" "$2" || fail "$1 is not ready after a minute; its log is $dir/$1/log"
}

# Whether something listens at the port $1.
is_used() {
    awk -v port="$(printf ':%04X' "$1")" \
        '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

has_used_port() {
    for offset in 0 1 2 3 4 5 6 7 8; do
        is_used $(($1 + offset)) && return
    done
    return 1
}

# Chooses `port`, the first of nine.
choose_port() {
    if [ -n "$port" ]; then
        if has_used_port "$port"; then fail "a port from $port to $((port + 8)) is in use; choose others with --port"; fi
        return
    fi
    port=24790
    while has_used_port $port; do
        port=$((port + 10))
        [ $port -lt 30000 ] || fail "no nine free ports from 24790 to 30000; choose them with --port"
    done
}

client_port() {
    echo $((port + 2 + $1))
}

peer_port() {
    echo $((port + 5 + $1))
}

# Writes the file `run` of the part $1: the command of the other arguments.
write_run() {
    part=$1
    shift
    mkdir -p "$dir/$part"
    {
        printf 'exec'
        for word in "$@"; do
            printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
        done
        echo
    } >"$dir/$part/run"
    : >"$dir/$part/log"
}

write_member() {
    cluster="m1=http://127.0.0.1:$(peer_port 1),m2=http://127.0.0.1:$(peer_port 2),m3=http://127.0.0.1:$(peer_port 3)"
    client=http://127.0.0.1:$(client_port "$1")
    peer=http://127.0.0.1:$(peer_port "$1")
    # Batches need more operations in a transaction than etcd allows by default. Without compaction, etcd keeps every
    # old version of a key.
    write_run "m$1" "$etcd" --name "m$1" --data-dir "$dir/m$1/data" \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
        --initial-cluster "$cluster" --initial-cluster-token "pikv-trial-$port" \
        --max-txn-ops 4096 --auto-compaction-mode periodic --auto-compaction-retention 5m
}

# An instance prefers the member of its own number, as if that ran on the same machine.
write_pikv() {
    endpoints=
    for member in "$1" 1 2 3; do
        case "$endpoints" in
            *":$(client_port "$member")\""*) ;;
            *) endpoints="$endpoints${endpoints:+, }\"http://127.0.0.1:$(client_port "$member")\"" ;;
        esac
    done
    write_run "pikv$1" "$pikv" serve --config "$dir/pikv$1/config.json"
    cat >"$dir/pikv$1/config.json" <<END
{
    "version": 1,
    "server_port": $((port + $1)),
    "default": {
        "storage": {"persistent_file_path": "storage_data/"},
        "authentication": {"enabled": true, "save_api_key_to_file": true, "api_key": "$key"}
    },
    "projects": [],
    "trusted_proxies": ["127.0.0.1"],
    "engine": {
        "type": "etcd",
        "cells": [{"name": "home", "endpoints": [$endpoints]}]
    }
}
END
}

# The configuration beside this script, with the addresses of the trial.
write_haproxy() {
    write_run haproxy "$haproxy" -db -f "$dir/haproxy/haproxy.cfg"
    sed -e '/^ *\(user\|group\|chroot\|log\) /d' -e '/^ *server pikv3 /d' \
        -e "s/bind .*/bind 127.0.0.1:$port/" \
        -e "s/192\.0\.2\.1:23849/127.0.0.1:$((port + 1))/" -e "s/192\.0\.2\.2:23849/127.0.0.1:$((port + 2))/" \
        "$(dirname "$0")/haproxy.cfg" >"$dir/haproxy/haproxy.cfg"
}

find_programs() {
    command -v "$etcd" >/dev/null || fail "$etcd: not found. Debian has it in the package etcd-server; or name it with --etcd"
    haproxy=$(PATH=$PATH:/usr/sbin command -v haproxy) || haproxy=
    [ "$with_pikv" = yes ] || { haproxy= ; return 0; }
    if [ -z "$pikv" ]; then
        pikv=$(dirname "$0")/../target/release/pikv
        [ -x "$pikv" ] || pikv=pikv
    fi
    command -v "$pikv" >/dev/null || fail "$pikv: not found. Build it with \`cargo build --release\`, or name it with --pikv"
}

# Writes what all parts need. A directory that is continued keeps its ports and its key.
write_parts() {
    if [ -s "$dir/trial" ]; then
        kept=$(sed -n 's/^port=//p' "$dir/trial")
        [ -z "$port" ] || [ "$port" = "$kept" ] || fail "$dir has a cluster with the ports from $kept on; leave --port out"
        port=$kept
        choose_port
        key=$(sed -n 's/^key=//p' "$dir/trial")
    else
        [ -z "$(ls -A "$dir")" ] || fail "$dir is not empty, and has no trial cluster"
        choose_port
        key=trial-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
        printf 'port=%s\nkey=%s\n' "$port" "$key" >"$dir/trial"
    fi
    for number in 1 2 3; do write_member $number; done
    [ "$with_pikv" = no ] || for number in 1 2; do write_pikv $number; done
    [ -z "$haproxy" ] || write_haproxy
}

start_parts() {
    for part in m1 m2 m3; do start_part $part; done
    for part in m1 m2 m3; do await_log $part 'ready to serve client requests'; done
    [ "$with_pikv" = yes ] || return 0
    for part in pikv1 pikv2; do start_part $part; done
    for part in pikv1 pikv2; do await_log $part 'listening on'; done
    [ -z "$haproxy" ] || start_part haproxy
}

print_members() {
    for number in 1 2 3; do
        echo "member $number    http://127.0.0.1:$(client_port $number)"
    done
    if [ "$with_pikv" = yes ]; then
        echo "PiKV 1      http://127.0.0.1:$((port + 1))"
        echo "PiKV 2      http://127.0.0.1:$((port + 2))"
        echo "global key  $key"
        [ -z "$haproxy" ] || echo "haproxy     http://127.0.0.1:$port, for both"
    fi
    echo "directory   $dir"
}

print_advice() {
    self="sh $0"
    if [ "$with_pikv" = yes ]; then
        first=http://127.0.0.1:$((port + 1))
        [ -z "$haproxy" ] || first=http://127.0.0.1:$port
        cat <<END

In a second terminal, create a project, write at one instance and read at the other:
  KEY=$key
  curl -H "X-API-Key: \$KEY" $first/api/v1/projects -d '{"id":"demo"}'
  curl -H "X-API-Key: \$KEY" -X PUT $first/api/v1/projects/demo/keys/hello -d '"world"'
  curl -H "X-API-Key: \$KEY" http://127.0.0.1:$((port + 2))/api/v1/projects/demo/keys/hello

Kill a member or an instance (SIGKILL), and write again:
  $self kill-member 1 --dir $dir
  $self kill-pikv 1 --dir $dir
  $self start-member 1 --dir $dir
END
    else
        cat <<END

In a second terminal:
  ETCDCTL_API=3 etcdctl --endpoints http://127.0.0.1:$(client_port 1) put hello world
  $self kill-member 1 --dir $dir
  $self start-member 1 --dir $dir
END
    fi
    printf '\n%s status --dir %s shows what runs. Press Ctrl-C to stop all.\n' "$self" "$dir"
}

finish() {
    trap - EXIT
    trap '' INT TERM HUP
    stop_parts
    rm -f "$dir/stop" "$dir/runner"
    if [ "$is_temporary" = yes ]; then rm -rf "$dir"; fi
}

start() {
    find_programs
    is_temporary=no
    if [ -z "$dir" ]; then
        is_temporary=yes
        dir=$(mktemp -d "${TMPDIR:-/tmp}/pikv-trial.XXXXXX")
    fi
    mkdir -p "$dir"
    chmod 700 "$dir"
    dir=$(cd "$dir" && pwd -P)
    for part in m1 m2 m3 pikv1 pikv2; do
        if runs $part; then fail "the cluster in $dir runs already; stop it with: sh $0 stop --dir $dir"; fi
    done
    umask 077
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    write_parts
    rm -f "$dir/stop"
    echo $$ >"$dir/runner"
    start_parts
    print_members
    print_advice
    until [ -e "$dir/stop" ]; do sleep 0.5; done
}

status() {
    for part in m1 m2 m3 pikv1 pikv2 haproxy; do
        [ -e "$dir/$part/run" ] || continue
        if runs $part; then state="runs, process $(cat "$dir/$part/pid")"; else state='does not run'; fi
        printf '%-8s %s\n' $part "$state"
    done
}

# Has the command that started the cluster stop it, or does so itself if that was killed.
stop() {
    runner=$(cat "$dir/runner" 2>/dev/null) || runner=
    if [ -n "$runner" ] && kill -0 "$runner" 2>/dev/null; then
        touch "$dir/stop"
        wait_until 60 has_finished && return
    fi
    stop_parts
    rm -f "$dir/stop" "$dir/runner"
}

has_finished() {
    [ ! -e "$dir/runner" ]
}

# Reads `dir` of a running cluster.
open_dir() {
    [ -n "$dir" ] || fail "$command needs --dir DIR"
    [ -s "$dir/trial" ] || fail "$dir has no trial cluster"
    dir=$(cd "$dir" && pwd -P)
    umask 077
}

open_part() {
    open_dir
    [ -e "$dir/$1$number/run" ] || fail "$command needs the number of one that the cluster has, not \`$number\`"
}

command=start dir='' port='' pikv='' etcd=etcd with_pikv=yes number=''
while [ $# -gt 0 ]; do
    case "$1" in
        start | status | stop) command=$1 ;;
        kill-member | start-member | kill-pikv | start-pikv)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            command=$1 number=$2
            shift
            ;;
        --dir | --port | --pikv | --etcd)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            case "$1" in
                --dir) dir=$2 ;;
                --port) port=$2 ;;
                --pikv) pikv=$2 ;;
                --etcd) etcd=$2 ;;
            esac
            shift
            ;;
        --without-pikv) with_pikv=no ;;
        --help | -h)
            usage
            exit
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done
case "$port" in *[!0-9]*) fail "--port needs a number, not \`$port\`" ;; esac
if [ -n "$port" ] && { [ "$port" -lt 1024 ] || [ "$port" -gt 65527 ]; }; then fail '--port needs 1024 to 65527'; fi

case "$command" in
    start) start ;;
    status) open_dir && status ;;
    stop)
        open_dir
        stop
        ;;
    kill-member) open_part m && signal_part KILL "m$number" ;;
    start-member) open_part m && start_part "m$number" ;;
    kill-pikv) open_part pikv && signal_part KILL "pikv$number" ;;
    start-pikv) open_part pikv && start_part "pikv$number" ;;
esac
