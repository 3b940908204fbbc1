# shellcheck shell=bash
# For bash and zsh.
_haft_inside() { # HAFT FILE WORD: the paths inside FILE that begin with WORD
  local directory='' mode name
  [[ $3 == */* ]] && directory=${3%/*}/
  "$1" ls -l -- "$2" "${directory%/}" 2>/dev/null | while read -r mode _ _ _ name; do
    name=$directory${name%% -> *}
    [[ $mode == d* ]] && name+=/
    [[ $name == "$3"* ]] && printf '%s\n' "$name"
  done
}
# Numbers only: what stands in a row may be somebody else's words, and bash's compgen expands them.
_haft_pids() { # HAFT: processes of running bundles
  local pid
  "$1" ps 2>/dev/null | while read -r pid _; do
    [[ $pid =~ ^[0-9]+$ ]] && printf '%s\n' "$pid"
  done
}
