#!/bin/bash
# Workers as an array of jobs on a Slurm cluster: sbatch examples/fleet/slurm.sh
#SBATCH --job-name=orchestrate-worker
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=08:00:00
#SBATCH --requeue
# a minute before the time is up each worker drains; the others, or the next array, go on
#SBATCH --signal=B:TERM@70

set -euo pipefail
: "${ORCHESTRATE_HOME:?the data folder, or that of a store which all nodes share}"
exec orchestrate worker --jobs 20 --grace 60 --until-idle
