# Workloads for one side of a comparison: sh workloads.sh DIRECTORY SUITE MOUNT. Prints "seconds METRIC NUMBER" lines, and
# the client's own counters as "before NAME NUMBER" and "after NAME NUMBER". POSIX sh with GNU or busybox tools, as any
# app image has them; loops are builtins, so that no process start is measured.
set -eu
mount=$3
wanted='cpu_usage|memory|fuse_ops_durations_histogram_seconds_(total|sum)|transaction_durations_histogram_seconds_total'
wanted="$wanted|object_request_durations_histogram_seconds_[A-Z]+_total|object_request_data_bytes_[A-Z]+"
counters() { grep -E "^juicefs_($wanted) " "$mount/.stats" | sed "s/^juicefs_/$1 /"; }

counters before
mkdir -p "$1"
cd "$1"
suite=$2

timed() { # timed METRIC COMMAND...
    metric=$1
    shift
    begin=$(date +%s%N)
    "$@" >/dev/null
    end=$(date +%s%N)
    printf 'seconds %s %d.%09d\n' "$metric" $(((end - begin) / 1000000000)) $(((end - begin) % 1000000000))
}
each() { # each COUNT COMMAND...: with the number appended
    left=$1
    shift
    while [ "$left" -gt 0 ]; do
        "$@" "$left"
        left=$((left - 1))
    done
}
create() { : >"c$1"; }
write() { printf '%s' "$text" >"w$1"; }
append() { dd if=/dev/zero of=appended bs=512 count="$1" oflag=append,dsync conv=notrunc 2>/dev/null; }
big() { dd if=/dev/zero of=big bs=1M count=48 conv=fsync 2>/dev/null; }
forget() { dd if=big of=/dev/null iflag=nocache count=0 2>/dev/null; } # the kernel's pages, not the client's blocks
both() { # two writers on two files
    dd if=/dev/zero of=two1 bs=256k count=40 conv=fsync 2>/dev/null &
    dd if=/dev/zero of=two2 bs=256k count=40 conv=fsync 2>/dev/null
    wait
}
text=$(head -c 3000 /dev/zero | tr '\0' x)

mkdir renamed
timed create each 120 create
timed rename mv c* renamed
timed small-write each 60 write
timed append append 40
if [ "$suite" = full ]; then
    timed list ls -l renamed
    timed small-read cat w*
    timed big-write big
    forget
    timed big-read cat big
    timed two-writers both
    timed unlink rm -r renamed
fi
cd /
rm -rf "$1"
counters after
