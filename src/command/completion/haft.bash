# Completion of haft, by 'haft completion bash'.
# shellcheck shell=bash
# @INSIDE@
_haft() {
  local word=${COMP_WORDS[COMP_CWORD]} haft=${COMP_WORDS[0]} words=() kinds=()
  local options='' values='' last=false first=false kind='' i
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W '@NAMES@' -- "$word")
    return
  fi
  case ${COMP_WORDS[1]} in
  # @CASES@
  esac
  # Of the words before: how many are no options, and what the last option wants as its value.
  for ((i = 2; i < COMP_CWORD; ++i)); do
    if [[ -n $kind ]]; then
      kind=''
    elif [[ ${COMP_WORDS[i]} != -* ]]; then
      words+=("${COMP_WORDS[i]}")
      [[ $first == true ]] && options='' values=''
    elif [[ $values == *" ${COMP_WORDS[i]}="* ]]; then
      kind=${values#*" ${COMP_WORDS[i]}="}
      kind=${kind%% *}
    fi
  done
  if [[ -z $kind && $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    return
  fi
  if [[ -z $kind ]]; then
    i=${#words[@]}
    ((i >= ${#kinds[@]})) && [[ $last == true ]] && i=$((${#kinds[@]} - 1))
    kind=${kinds[i]}
  fi
  case $kind in
    file)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      ;;
    dir)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$word")
      ;;
    program) mapfile -t COMPREPLY < <(compgen -c -f -- "$word") ;;
    path)
      compopt -o nospace 2>/dev/null
      mapfile -t COMPREPLY < <(_haft_inside "$haft" "${words[0]}" "$word")
      ;;
    pid) mapfile -t COMPREPLY < <(compgen -W "$(_haft_pids "$haft")" -- "$word") ;;
    *\|*) mapfile -t COMPREPLY < <(compgen -W "${kind//|/ }" -- "$word") ;;
  esac
}
complete -F _haft haft
