#!/bin/sh
# Parent of one session's sidecar in the process runtime: keeps its exit status, whoever is alive to see it.
# usage: session_shim.sh FOLDER COMMAND…     leads its own session and process group
# fd 0: the launch line   fd 1, 2: the output file   fd 9: the lock that tells that this shim lives
cd -- "$1" || exit 1
shift
umask 077
# A handler, not '': what is ignored here would be ignored by the sidecar as well.
trap : HUP INT TERM
exec 3<&0 </dev/null
"$@" <&3 3<&- 9<&- &
child=$!
exec 3<&-

# Pids come round again; together with the start time in these lines they do not.
read -r shim_stat <"/proc/$$/stat"
read -r child_stat <"/proc/$child/stat"
printf '%s\n%s\n' "$shim_stat" "$child_stat" >processes.new
mv processes.new processes

while :; do
    wait "$child"
    status=$?
    # A signal to this shim ends `wait` early.
    kill -0 "$child" 2>/dev/null || break
done
echo "$status" >exit.new
mv exit.new exit
# As in a container: when its first process ends, so does everything.
kill -9 0
