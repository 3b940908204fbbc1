#compdef haft
# Completion of haft, by 'haft completion zsh'.
# @INSIDE@
_haft_paths() {
  local file=${${words[2,-1]:#-*}[1]}
  compadd -S '' -- ${(f)"$(_haft_inside haft "$file" "$PREFIX")"}
}
_haft() {
  local -a commands
  commands=(
    # @NAMES@
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  shift words
  ((CURRENT -= 1))
  case $words[1] in
  # @CASES@
  esac
}
compdef _haft haft
