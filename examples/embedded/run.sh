#!/usr/bin/env bash
# run.sh [TARGET...]: builds the firmware, runs it under QEMU, decodes its logs; all five cores unless targets are named.
# Fails at the end if anything did, and says what. STORIES chooses among "size measure preempt survive modem".
#
# Takes rustup's bare-metal targets where they are installed, else Debian's compiler; installs QEMU by apt if it is missing.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- thumbv7em-none-eabihf thumbv7m-none-eabi thumbv6m-none-eabi riscv32imac-unknown-none-elf riscv32imc-unknown-none-elf
stories=" ${STORIES:-size measure preempt survive modem} "
wants() { case $stories in *" $1 "*) ;; *) return 1 ;; esac; }
export CARGO_TERM_COLOR=never

failed=() passed=0
check() { # name command...
  local name=$1 begin=$SECONDS rc=0
  shift
  "$@" || rc=$?
  if [ $rc = 0 ]; then
    echo "ok     $name, $((SECONDS - begin)) s"
    passed=$((passed + 1))
  else
    echo "FAILED $name ($rc), $((SECONDS - begin)) s"
    failed+=("$name")
  fi
}

# The host's own compiler builds the host's tools, before another one may take its place.
if wants modem; then
  cargo build --quiet --release -p host-tools
  tools=$PWD/target/release
fi

source ../../.ci/cross "$@"
wants measure || wants preempt || wants survive || wants modem && source ../../.ci/emulators
echo "compiler: $(rustc --version)"

firmware() { # target cargo-arguments...: as cargo, for the target's board
  local target=$1 package features=()
  shift
  case $target in thumb*) package=cortex-m-boards ;; *) package=riscv-boards ;; esac
  # Where there is no compare-exchange, critical sections stand for it.
  case $target in thumbv6m-* | riscv32imc-*) features=(--features portable-atomic) ;; esac
  local verb=$1
  shift
  # Another compiler's artifacts must not meet the host's.
  cargo "$verb" --quiet --release --target "$target" --target-dir target/bare-metal -p "$package" "${features[@]}" "$@"
}

# One instruction is a fixed time: SysTick, or the instruction counter itself, tells how many were executed.
counting() { case $1 in thumb*) echo shift=10 ;; *) echo "$2" ;; esac; }

for target; do
  echo "--- $target"
  if wants size; then check "$target size" size/measure "$target"; fi
  if wants measure; then check "$target measure" env ICOUNT="$(counting "$target" shift=0)" bash -c "$(declare -f firmware); firmware $target run --bin measure"; fi
  if wants preempt; then check "$target preempt" env ICOUNT=shift=10 bash -c "$(declare -f firmware); firmware $target run --bin preempt"; fi
  if wants survive; then check "$target survive" firmware "$target" run --bin survive; fi
  if wants modem; then check "$target modem" echo todo; fi
done

echo "$passed passed, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}, $SECONDS s"
[ ${#failed[@]} = 0 ]
