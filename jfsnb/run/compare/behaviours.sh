# What POSIX promises of a file system, one line each: sh behaviours.sh DIRECTORY; prints "name<TAB>expected<TAB>seen".
# A table of our own, because pjdfstest and xfstests want a compiler and root in the app Pod. Each snippet runs in a new
# directory; "n/a" is seen where the app image lacks the tool. Expected values are those of ext4 on Linux.
set -u
top=$1
mkdir -p "$top"

b() { # b NAME EXPECTED SNIPPET
    mkdir "$top/$1" && cd "$top/$1" || exit 1
    seen=$(sh -c "$3" 2>/dev/null </dev/null | tr '\n\t' '  ')
    seen=${seen% }
    printf '%s\t%s\t%s\n' "$1" "$2" "${seen:-nothing}"
    cd / && rm -rf "${top:?}/$1"
}
needs() { # needs TOOL NAME EXPECTED SNIPPET
    tool=$1
    shift
    if command -v "$tool" >/dev/null 2>&1; then b "$@"; else printf '%s\t%s\tn/a\n' "$1" "$2"; fi
}

# names and directories
b create-then-list 'a' ': >a; ls'
b create-exclusive-twice 'refused' ': >a; (set -C; : >a) 2>/dev/null && echo taken || echo refused'
b name-of-255-bytes '255' 'n=$(head -c 255 /dev/zero | tr "\0" n); : >"$n"; ls | tr -d "\n" | wc -c | tr -d " "'
b name-of-256-bytes 'refused' 'n=$(head -c 256 /dev/zero | tr "\0" n); (: >"$n") 2>/dev/null && echo taken || echo refused'
b name-with-newline '1' 'n=$(printf "a\nb"); : >"$n"; set -- *; echo $#'
b name-with-odd-bytes '1' 'n=$(printf "\001\177\377"); : >"$n"; [ -e "$n" ] && ls | wc -l | tr -d " "'
b names-differ-in-case '2' ': >a; : >A; ls | wc -l | tr -d " "'
b mkdir-over-directory 'refused' 'mkdir d; mkdir d && echo made || echo refused'
b rmdir-of-full-directory 'refused' 'mkdir d; : >d/a; rmdir d && echo gone || echo refused'
b rmdir-of-file 'refused' ': >a; rmdir a && echo gone || echo refused'
b unlink-of-directory 'refused' 'mkdir d; unlink d 2>/dev/null && echo gone || echo refused'
b path-through-a-file 'refused' ': >a; (: >a/b) 2>/dev/null && echo made || echo refused'
b links-of-a-directory '4' 'mkdir -p d/x d/y; stat -c %h d'
b directory-of-500 '500' 'mkdir d; i=0; while [ $i -lt 500 ]; do : >d/$i; i=$((i+1)); done; ls d | wc -l | tr -d " "'
b list-while-it-shrinks '0' 'mkdir d; i=0; while [ $i -lt 200 ]; do : >d/$i; i=$((i+1)); done; find d -type f -delete; ls d | wc -l | tr -d " "'
b parent-of-moved-directory 'b' 'mkdir -p a/d b; mv a/d b/; cd b/d; basename "$(cd -P .. && pwd)"'

# rename
b rename-over-a-file 'new' 'echo old >a; echo new >b; mv b a; cat a'
b rename-over-an-open-file 'old new' 'echo old >a; exec 3<a; echo new >b; mv b a; cat <&3; cat a'
b rename-keeps-the-inode 'same' ': >a; i=$(stat -c %i a); mv a b; [ "$i" = "$(stat -c %i b)" ] && echo same'
b rename-file-over-directory 'refused' ': >a; mkdir d; mv -T a d 2>/dev/null && echo done || echo refused'
b rename-directory-over-file 'refused' ': >a; mkdir d; mv -T d a 2>/dev/null && echo done || echo refused'
b rename-over-empty-directory 'x' 'mkdir d e; : >d/x; mv -T d e; ls e'
b rename-over-full-directory 'refused' 'mkdir d e; : >e/x; mv -T d e 2>/dev/null && echo done || echo refused'
b rename-into-itself 'refused' 'mkdir d; mv d d/e 2>/dev/null && echo done || echo refused'
b rename-between-two-links 'a b' 'echo 1 >a; ln a b; python3 -c "import os; os.rename(\"a\",\"b\")" 2>/dev/null || perl -e "rename(q(a),q(b))"; ls'

# links
b hard-link-counts '2 1' ': >a; ln a b; stat -c %h a; rm b; stat -c %h a'
b hard-link-shares-data 'x' ': >a; ln a b; echo x >a; cat b'
b hard-link-to-directory 'refused' 'mkdir d; ln d e 2>/dev/null && echo made || echo refused'
b symlink-to-nowhere 'there nowhere' 'ln -s nowhere l; [ -L l ] && echo there; readlink l'
b symlink-loop 'refused' 'ln -s b a; ln -s a b; cat a 2>/dev/null && echo read || echo refused'
b symlink-of-long-target '1000' 't=$(head -c 1000 /dev/zero | tr "\0" t); ln -s "$t" l; readlink l | tr -d "\n" | wc -c | tr -d " "'
b fifo 'hello' 'mkfifo p; (echo hello >p) & cat p'

# open files
b unlink-while-open 'kept gone' 'echo kept >a; exec 3<a; rm a; cat <&3; [ -e a ] || echo gone'
b write-after-unlink '6' ': >a; exec 3<>a; rm a; echo hello >&3; stat -L -c %s /proc/self/fd/3'
b working-directory-removed 'refused' 'mkdir d; cd d; rmdir ../d; (: >a) 2>/dev/null && echo made || echo refused'
b append-by-two-descriptors 'one two three' 'exec 3>>a 4>>a; echo one >&3; echo two >&4; echo three >&3; cat a'
b append-by-four-processes '400' 'for p in 1 2 3 4; do (i=0; while [ $i -lt 100 ]; do echo "$p line" >>a; i=$((i+1)); done) & done; wait; wc -l <a | tr -d " "'
b write-then-read-elsewhere 'x' 'echo x >a; sh -c "cat a"'
b truncate-while-open 'nothing' 'echo long text >a; exec 3<a; : >a; cat <&3'

# sizes and contents
b truncate-grows-with-zeros '100 0' 'truncate -s 100 a; stat -c %s a; tr -d "\0" <a | wc -c | tr -d " "'
b truncate-cuts 'abc' 'printf abcdef >a; truncate -s 3 a; cat a'
b truncate-cuts-then-grows '6 3' 'printf abcdef >a; truncate -s 3 a; truncate -s 6 a; stat -c %s a; tr -d "\0" <a | wc -c | tr -d " "'
b sparse-file-reads-zeros '5242881 1' 'printf x | dd of=a bs=1 seek=5242880 2>/dev/null; stat -c %s a; tr -d "\0" <a | wc -c | tr -d " "'
b overwrite-in-the-middle 'abXYef' 'printf abcdef >a; printf XY | dd of=a bs=1 seek=2 conv=notrunc 2>/dev/null; cat a'
b write-across-blocks 'same' 'head -c 9000000 /dev/urandom >a; cp a b; cmp a b && echo same'
b read-past-the-end '0' 'printf abc >a; dd if=a bs=1 skip=10 2>/dev/null | wc -c | tr -d " "'
b file-size-4g '4294967296' 'truncate -s 4294967296 a && stat -c %s a'
needs fallocate allocate-keeps-size '0' ': >a; fallocate -n -l 1000 a 2>/dev/null; stat -c %s a'
needs fallocate punched-hole-reads-zeros '2' 'printf abcd >a; fallocate -p -o 1 -l 2 a && tr -d "\0" <a | wc -c | tr -d " "'

# times
b write-moves-mtime 'newer' ': >a; touch -d 2001-01-01 a; : >b; touch -d 2000-01-01 b; echo x >b; [ b -nt a ] && echo newer'
b touch-sets-times '978307200' ': >a; TZ=UTC touch -d "2001-01-01 00:00:00" a; stat -c %Y a'
b chmod-moves-ctime-only '978307200 moved' ': >a; TZ=UTC touch -d "2001-01-01 00:00:00" a; chmod 600 a; stat -c %Y a; [ "$(stat -c %Z a)" -gt 978307200 ] && echo moved'
b create-moves-directory-mtime 'moved' 'mkdir d; TZ=UTC touch -d "2001-01-01 00:00:00" d; : >d/a; [ "$(stat -c %Y d)" -gt 978307200 ] && echo moved'
b time-before-1970 'kept' ': >a; TZ=UTC touch -d "1969-12-31 00:00:00" a; [ "$(stat -c %Y a)" = -86400 ] && echo kept || echo lost'

# permissions and attributes
b mode-of-new-file '640' 'umask 027; : >a; stat -c %a a'
b chmod-special-bits '6751' ': >a; chmod 6751 a; stat -c %a a'
b sticky-directory '1777' 'mkdir d; chmod 1777 d; stat -c %a d'
b chown-drops-setuid '755' ': >a; chmod 4755 a; chown 1:1 a 2>/dev/null || { echo n/a; exit; }; stat -c %a a'
b setgid-directory-hands-on '7' 'mkdir d; chgrp 7 d 2>/dev/null || { echo n/a; exit; }; chmod g+s d; : >d/a; stat -c %g d/a'
needs setfattr extended-attribute 'v' ': >a; setfattr -n user.k -v v a && getfattr -n user.k --only-values a'
needs python3 attribute-by-system-call "b'v' ['user.k']" 'python3 -c "import os; open(\"a\",\"w\"); os.setxattr(\"a\",\"user.k\",b\"v\"); print(os.getxattr(\"a\",\"user.k\"), os.listxattr(\"a\"))"'

# locks and mappings
needs flock lock-excludes 'refused' ': >a; exec 3>a; flock 3; flock -n a true && echo taken || echo refused'
needs flock shared-locks-agree 'taken' ': >a; exec 3>a; flock -s 3; flock -s -n a true && echo taken || echo refused'
needs flock lock-ends-with-its-holder 'taken' ': >a; flock a true; flock -n a true && echo taken || echo refused'
needs python3 record-locks-exclude 'refused' 'python3 -c "
import fcntl, os
f = open(\"a\", \"w\"); fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
if os.fork() == 0:
    try: fcntl.lockf(open(\"a\", \"r+\"), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5); print(\"taken\", flush=True)
    except OSError: print(\"refused\", flush=True)
    os._exit(0)
os.wait()"'
needs python3 record-locks-side-by-side 'taken' 'python3 -c "
import fcntl, os
f = open(\"a\", \"w\"); fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
if os.fork() == 0:
    try: fcntl.lockf(open(\"a\", \"r+\"), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10); print(\"taken\", flush=True)
    except OSError: print(\"refused\", flush=True)
    os._exit(0)
os.wait()"'
needs python3 mapped-write-is-read 'mapped' 'printf xxxxxx >a; python3 -c "
import mmap
f = open(\"a\", \"r+b\"); m = mmap.mmap(f.fileno(), 6); m[:] = b\"mapped\"; m.flush()"; cat a'
needs python3 mapping-sees-a-write 'y' 'printf xxxx >a; python3 -c "
import mmap, os
f = open(\"a\", \"r+b\"); m = mmap.mmap(f.fileno(), 4, mmap.MAP_SHARED); m[0]; os.pwrite(f.fileno(), b\"y\", 0); print(chr(m[0]))"'
needs python3 descriptor-of-a-directory 'synced' 'python3 -c "import os; d = os.open(\".\", os.O_RDONLY); os.fsync(d); print(\"synced\")"'
needs python3 seek-finds-a-hole 'data' 'truncate -s 1000000 a; printf x | dd of=a bs=1 seek=0 conv=notrunc 2>/dev/null; python3 -c "
import os
f = os.open(\"a\", os.O_RDONLY); print(\"data\" if os.lseek(f, 0, os.SEEK_DATA) == 0 else \"hole\")"'
rm -rf "$top"
