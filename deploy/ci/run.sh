#!/bin/sh
# Test a JuiceFS client image on a cluster from any CI. Needs Python 3.11 or newer, and a kubeconfig.
#   CONTEXT=my-context IMAGE=registry.example/juicedata/mount:build-42 PVC=my-claim NAMESPACE=my-namespace sh deploy/ci/run.sh
set -eu
cd "$(dirname "$0")/../.."
exec sh scripts/jfsnb run --cluster "$CONTEXT" --image "$IMAGE" --pvc "$PVC" --namespace "$NAMESPACE" --strict
