#!/usr/bin/env bash
# One `particles run` on a Ray cluster that is there already, through its job server (the dashboard's port).
#
#     drivers/cluster/ray_job.sh http://head:8265 study.toml --out /shared/results
#     RAY_ADDRESS=http://head:8265 drivers/cluster/ray_job.sh study.toml --out /shared/results
#
# What follows the address goes to `particles run`. The configuration's folder is sent along, for the data that it names;
# the cluster's own environment must hold `particles`, and all nodes must see the results folder. On a cluster with
# tokens set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN.
#
# The run's words are printed here, and its exit code is this script's. INT, TERM or USR1 stop the job: the run gets
# SIGTERM, writes a checkpoint, and this script ends with 75; the same command goes on from there.
#
# Settings, from the environment:
#   PARTICLES          the command on the cluster (particles)
#   PARTICLES_SECONDS  how long a stopped run may take for its checkpoint (120)
#   RAY_JOB_ARGS       more options of `ray job submit`
#
# What was tried: by hand against Ray 2.60 with its dashboard and a token, on one machine: to the end, a bad input (2),
# TERM (75, with a checkpoint), a run that was killed (137). tests/population/test_batch.py runs it against a stand-in for the job
# server. Not tried: more than one machine, and a cluster behind TLS.

set -euo pipefail

say() { echo "ray_job.sh: $*" >&2; }
refuse() {
    say "$*"
    exit 2
}

if [[ ${1:-} = http*://* || (-z ${RAY_ADDRESS:-} && $# -gt 0) ]]; then
    RAY_ADDRESS=$1
    shift
fi
if [[ -z ${RAY_ADDRESS:-} || $# = 0 ]]; then
    refuse "an address and a configuration are missing: drivers/cluster/ray_job.sh http://head:8265 CONFIG --out DIR [OPTION...]"
fi
[[ $RAY_ADDRESS = http*://* ]] ||
    refuse "the address must be the dashboard's, such as http://head:8265: got '$RAY_ADDRESS'"
config=$1
shift
[[ -f $config ]] || refuse "no such file: $config"
out="" previous=""
for word; do
    case $previous in --out) out=$word ;; esac
    case $word in --out=*) out=${word#*=} ;; esac
    previous=$word
done
# The run's own folder is a copy on one node, and goes with the job.
[[ $out = /* ]] || refuse "add --out with an absolute path (got '$out'), on a file system that all nodes see"

export RAY_ADDRESS RAY_USAGE_STATS_ENABLED=0
unset RAY_API_SERVER_ADDRESS # it would come first
job=particles-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
stop="" heard=0 submitted=""

take() { # a signal: the job hears of it, and ends when its checkpoint is written
    stop=1 heard=$((heard + 1))
    [[ -z $submitted ]] || ray job stop --no-wait "$job" >/dev/null || :
}
trap take INT TERM USR1

await() { # PID: its exit code, whatever signals come meanwhile
    local before code
    while
        before=$heard code=0
        wait "$1" || code=$?
        ((code > 128 && heard > before)) # a handler that ran ended `wait`, not the process
    do :; done
    return "$code"
}

# Python, JOB: waits for the end (the stream of words may break off before it) and gives the run's exit code.
IFS= read -r -d '' exit_code <<'PYTHON' || :
import sys, time
from ray.job_submission import JobSubmissionClient
job, client = sys.argv[1], JobSubmissionClient()
while not (status := client.get_job_status(job)).is_terminal():
    time.sleep(1.0)
if status == "STOPPED":
    sys.exit(75)
info = client.get_job_info(job)
code = info.driver_exit_code
if code is None:  # the run did not begin, or was lost
    print(f"ray_job.sh: {status}: {info.message}", file=sys.stderr)
    code = status != "SUCCEEDED"
sys.exit(code if code >= 0 else 128 - code)
PYTHON

# Three seconds is what Ray itself gives a job between SIGTERM and SIGKILL.
environment="{\"env_vars\": {\"RAY_JOB_STOP_WAIT_TIME_S\": \"${PARTICLES_SECONDS:-120}\"}, \"excludes\": [\".git\", \"out\"]}"
read -ra command <<<"${PARTICLES:-particles}"
read -ra more <<<"${RAY_JOB_ARGS:-}"

# In the background, as all that takes time here: so a signal is heard at once, and Ctrl-C reaches this script alone.
ray job submit --submission-id "$job" --working-dir "$(dirname "$config")" --runtime-env-json "$environment" --no-wait \
    "${more[@]}" -- "${command[@]}" run "$(basename "$config")" "$@" --ray auto &
await $! || exit
submitted=1
[[ -z $stop ]] || take
ray job logs --follow "$job" &
await $! || say "the words of the run broke off; waiting for its end"
code=0
python -c "$exit_code" "$job" &
await $! || code=$?
exit "$code"
