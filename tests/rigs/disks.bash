# For the rigs that need a file system which can fail or run full: one in a file on a tmpfs of its own.
. "$(dirname "$0")/common.bash"
store=$base/store disk=$base/disk

# make_disk KIND MIB [MOUNT_OPTIONS]: a file system, mounted at $disk.
make_disk() {
    mkdir -p "$store" "$disk"
    mount -t tmpfs -o "size=$((2 * $2))m" tmpfs "$store" && mounts=("$store" ${mounts[@]+"${mounts[@]}"})
    truncate -s "$2M" "$store/sparse"
    case $1 in
        ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$store/sparse" ;;
        xfs) mkfs.xfs -q "$store/sparse" ;;
        btrfs) mkfs.btrfs -q -f "$store/sparse" >"$base/out" 2>&1 ;;
    esac || exit 1
    # Every block has its place in the tmpfs, so that what the file system itself needs can always be written.
    cp --sparse=never "$store/sparse" "$store/image" && rm "$store/sparse"
    mount -o "loop${3:+,$3}" "$store/image" "$disk" && mounts=("$disk" "${mounts[@]}")
}

# Takes the place of the free blocks away: a block that the file system uses from now on cannot be written.
fill_store() {
    sync
    fstrim "$disk"
    dd if=/dev/zero of="$store/filler" bs=4k 2>"$base/out"
}
free_store() { rm -f "$store/filler"; }

# Drops what the cache holds and the disk may not. What is not written yet stays.
drop_cache() { echo 3 >/proc/sys/vm/drop_caches; }

# The server, and what was not written to the disk, are gone; the disk is mounted again.
cut_power() {
    cp "$store/image" "$store/after"
    kill_hard
    umount "$disk"
    mv "$store/after" "$store/image"
    mount -o loop "$store/image" "$disk"
}

# put_bytes PROJECT KEY BYTES: the status of a write of a string of that length.
put_bytes() {
    printf '"%*s"' "$3" '' | tr ' ' x | curl -s -o "$base/answer" -w '%{http_code}' -X PUT --data-binary @- \
        -H 'Content-Type: application/json' "$url/api/v1/projects/$1/keys/$2"
}

# status PROJECT KEY: the status of a read.
status() { curl -s -o "$base/answer" -w '%{http_code}' "$url/api/v1/projects/$1/keys/$2"; }
