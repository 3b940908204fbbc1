# Completion of haft, by 'haft completion fish'.
function __haft_inside
    set -l words (commandline -opc)
    set -l directory (string match -r '^.*/' -- (commandline -ct))
    set -l inside (string trim -r -c / -- "$directory")
    for line in (haft ls -l -- $words[3] "$inside" 2>/dev/null)
        set -l parts (string match -r '^(.)\S* +\S+ \S+ \S+ (.*)$' -- $line)
        set -l name "$directory"(string replace -r ' -> .*' '' -- $parts[3])
        test "$parts[2]" = d; and set name $name/
        echo $name
    end
end
complete -c haft -f
# @CASES@
