d=$1 k=$2 c=$3 T=$4 w=$5 E=; trap "" TERM; y=0; s=${SHELL:-}; case ${s##*/} in sh|bash|dash|ash|ksh|mksh|zsh) ;; *) s=/bin/sh;; esac;
case $w in *c*) s=/bin/sh;; esac; case $w in *e*) E=$(cat "$d/env") && [ -n "$E" ] || exit 1;; esac; case $w in *i*) exec <"$d/in" || exit 1;; esac; rm -f "$d/env" "$d/in";
l=; { read -r l <"/proc/$$/stat"; } 2>/dev/null; set -- ${l##*) }; [ $# -lt 20 ] || y=${20};
echo "$$ $y" >"$d/pid.new" && mv "$d/pid.new" "$d/pid" || exit 1;
keep() { ( ulimit -c 0; ulimit -f "$c"; exec cat ) >>"$d/$1" 2>/dev/null || { rm -f "$d/whole.$1"; wc -c >"$d/lost.$1"; }; };
{ { ( trap - TERM; umask "$k"; [ -z "$E" ] || eval "set -- \"\$s\" \"\$T\"; export$E; exec \"\$1\" -c \"\$2\""; exec "$s" -c "$T" ); echo "$? " 1<>"$d/exit.new"; } 2>&1 1>&3 3>&- | keep err; } 3>&1 | keep out;
mv "$d/exit.new" "$d/exit"
