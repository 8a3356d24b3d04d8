# The keys of a JSON Schema as man macros: one paragraph per key, with its dotted path.
def deref($root):
  if has("$ref") then . as $n | ($root | getpath($n["$ref"] | ltrimstr("#/") | split("/"))) + ($n | del(."$ref"))
    | deref($root)
  else . end;
def keys_of($root; $path):
  deref($root)
  | ((.oneOf // []) + (.anyOf // []) + (.allOf // []) | .[] | keys_of($root; $path)),
    (.items | objects | keys_of($root; $path)),
    (.properties // {} | to_entries[]
      | .key as $key | (.value | deref($root)) as $value
      | if ($path | index($key)) then empty            # a group inside of itself
        else {path: ($path + [$key]), value: $value}, ($value | keys_of($root; $path + [$key])) end),
    (.additionalProperties | objects | keys_of($root; $path + ["NAME"]));
def escaped: gsub("\\\\"; "\\e") | gsub("-"; "\\-") | gsub("…"; "...") | gsub("’"; "'") | gsub("→"; "to")
  | gsub("(?m)^(?<c>[.'])"; "\\&\(.c)");
. as $root
| reduce keys_of($root; []) as $k ({seen: {}, all: []};
    ($k.path | join(".")) as $name
    | if .seen[$name] then . else .seen[$name] = true | .all += [$k + {name: $name}] end)
| .all[]
| .value as $v
| ([$v.description // empty]
   + (if $v.enum then ["One of: " + ($v.enum | map(tostring) | join(", ")) + "."] else [] end)
   + (if $v | has("default") then ["Default: " + ($v.default | tostring) + "."] else [] end)
   | join(" ")) as $text
| ".TP\n.B " + (.name | escaped) + "\n" + (if $text == "" then "\\&" else ($text | escaped) end)
