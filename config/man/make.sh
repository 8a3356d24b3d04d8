#!/usr/bin/env bash
# Makes the man pages: what is written here, and in it the commands as the program knows them and the keys as
# the schemas have them.   make.sh PROGRAM FOLDER
set -euo pipefail
program=${1:?PROGRAM is missing}
out=${2:?FOLDER is missing}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$("$program" --version)

page() {  # FILE, what goes in the place of @LIST@ on standard input
  local list line
  list=$(cat)
  while IFS= read -r line; do
    case $line in
      @LIST@) printf '%s\n' "$list" ;;
      *) printf '%s\n' "${line//@VERSION@/$version}" ;;
    esac
  done <"$here/$1.in" >"$out/$1"
}
mkdir -p "$out"
"$program" completion man | page sallyport.1
jq -r -f "$here/keys.jq" "$here/../sallyport.schema.json" | page sallyport.yaml.5
jq -r -f "$here/keys.jq" "$here/../policy.schema.json" | page policy.yaml.5
