#!/usr/bin/env bash
# run.sh [TARGET...]: builds the firmware, runs it under QEMU and decodes its logs, for all five cores unless targets are named.
# If a check fails, the others run all the same, and the end says which failed. STORIES chooses among "size measure preempt
# survive modem".
#
# It uses rustup's bare-metal targets if they are installed. If one is missing, and on Debian, it installs Debian's own compiler
# by apt (rustc-web, cargo-web, rust-web-src, lld). It installs QEMU by apt too.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- thumbv7em-none-eabihf thumbv7m-none-eabi thumbv6m-none-eabi riscv32imac-unknown-none-elf riscv32imc-unknown-none-elf
stories=" ${STORIES:-size measure preempt survive modem} "
for story in $stories; do
  case $story in size | measure | preempt | survive | modem) ;; *) echo "no story: $story" >&2; exit 2 ;; esac
done
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

# The host's own compiler builds the host's tools. Afterwards Debian's compiler may take its place.
if wants modem; then
  cargo build --quiet --release -p host-tools
  tools=$PWD/target/release
fi

source ../../.ci/lib/cross "$@"
wants measure || wants preempt || wants survive || wants modem && source ../../.ci/lib/emulators
echo "compiler: $(rustc --version)"

# Cores without compare-exchange. Critical sections replace it, or (with `+single-core`) what suffices on a single core.
lacks_exchange() { case $1 in thumbv6m-* | riscv32imc-*) ;; *) return 1 ;; esac; }

firmware() { # target[+single-core] bin [features]: built, and run under QEMU
  local target=${1%+*} package features=(--features "${3-}")
  case $target in thumb*) package=cortex-m-boards ;; *) package=riscv-boards ;; esac
  if [ "$target" != "$1" ]; then
    features+=(--features "${1#*+}")
  elif lacks_exchange "$target"; then
    features+=(--features portable-atomic)
  fi
  # Artifacts of different compilers must not share a directory.
  cargo run --quiet --release --target "$target" --target-dir target/bare-metal -p "$package" "${features[@]}" --bin "$2"
}

measure() { # On Cortex-M one instruction takes a fixed time, and SysTick measures it. RISC-V has an instruction counter.
  case $1 in
    thumb*) ICOUNT=shift=10 firmware "$1" measure ;;
    *) ICOUNT=shift=0 firmware "$1" measure ;;
  esac
}
preempt() { ICOUNT=shift=10 firmware "$1" preempt; }
survive() { ICOUNT=shift=10,sleep=off firmware "$1" survive; }
modem() { # The simulator is at the other end of QEMU's serial socket. The firmware's log is decoded.
  local log=target/modem.log rc=0
  export -f firmware lacks_exchange
  DECODE=$tools/defmt-decode "$tools/modem-simulator" bash -c 'firmware "$1" modem modem' modem "$1" >"$log" 2>&1 || rc=$?
  # The story is the same on every core, so its log is shown once.
  if [ $rc = 0 ] && [ -n "${told-}" ]; then tail -4 "$log"; else cat "$log"; fi
  told=yes
  return $rc
}

for target; do
  echo "--- $target"
  wants size && check "$target size" size/measure "$target"
  wants measure && check "$target arithmetic" firmware "$target" arithmetic
  wants measure && check "$target measure" measure "$target"
  wants measure && lacks_exchange "$target" && check "$target+single-core measure" measure "$target+single-core"
  wants preempt && check "$target preempt" preempt "$target"
  wants survive && check "$target survive" survive "$target"
  wants modem && check "$target modem" modem "$target"
done

echo "$passed passed, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}, $SECONDS s"
[ ${#failed[@]} = 0 ] && [ $passed -gt 0 ]
