#!/bin/sh
# Score in a SLURM array, a shard a task:
#
#     sbatch --array=0-63 deploy/scale/slurm.sh configs/base.yaml
#
# Submit the same command again for shards that failed or ran out of time: finished ones take a
# moment. A student with memory needs it twice, since its streams are composed from the scores of
# all recordings:
#
#     sbatch --array=0-63 --dependency=afterany:FIRST_JOB deploy/scale/slurm.sh CONFIG
#
#SBATCH --job-name=crydistill-score
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --output=score-%A-%a.log

set -eu

if [ "${SLURM_ARRAY_TASK_MIN:-0}" -ne 0 ]; then
    echo "shards are numbered from 0: sbatch --array=0-$((SLURM_ARRAY_TASK_COUNT - 1))" >&2
    exit 2
fi

# SLURM sends SIGTERM before the time is up; exec passes it on, and the shard goes on when the task
# runs again on the same machine.
exec "${CRYDISTILL:-crydistill}" score "$@" \
    --shards "$SLURM_ARRAY_TASK_COUNT" --shard "$SLURM_ARRAY_TASK_ID"
