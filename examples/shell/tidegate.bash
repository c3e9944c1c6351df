# SPDX-License-Identifier: Apache-2.0
# Completion for bash: commands, options and scripts, as `tidegate help` lists them.
_tidegate() {
    local cur=${COMP_WORDS[COMP_CWORD]} help usage words
    COMPREPLY=()
    help=$("${COMP_WORDS[0]}" help 2>/dev/null) || return
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        return
    fi
    usage=$(sed -n "s/^  ${COMP_WORDS[1]}  *//p" <<<"$help")
    if [[ ${COMP_WORDS[COMP_CWORD - 1]} == --user ]]; then
        mapfile -t COMPREPLY < <(compgen -u -- "$cur")
    elif [[ $cur == -* || $usage != *SCRIPT* ]]; then
        words=$(grep -oE -- '--[a-z-]+|\b(on|off)\b' <<<"${usage%%  *}")
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -f -X '!*.lua' -- "$cur"; compgen -d -- "$cur")
        compopt -o filenames 2>/dev/null
    fi
}
complete -F _tidegate tidegate
