#!/bin/sh
# Fetches the vendored front-end files at their pinned versions from npm and
# builds the icon sprite from the names in icons.txt. Run it by hand when a
# version or an icon changes; the result is committed, and a test compares it
# with static/vendor/SHA256SUMS.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$here/static/vendor
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

htmx=2.0.11 sse=2.2.4 uplot=1.6.32 tabler=3.51.0

fetch() { # package version folder
	(cd "$tmp" && npm pack --silent "$1@$2" >name && mkdir "$3" && tar xzf "$(cat name)" -C "$3" --strip-components=1)
}
fetch htmx.org $htmx htmx
fetch htmx-ext-sse $sse sse
fetch uplot $uplot uplot
fetch @tabler/icons $tabler tabler

mkdir -p "$out"
cp "$tmp/htmx/dist/htmx.min.js" "$tmp/sse/dist/sse.min.js" "$out/"
cp "$tmp/uplot/dist/uPlot.iife.min.js" "$tmp/uplot/dist/uPlot.min.css" "$out/"
for name in htmx sse uplot tabler; do cp "$tmp/$name/LICENSE" "$out/LICENSE-$name.txt"; done

{
	printf '<svg xmlns="http://www.w3.org/2000/svg">\n'
	while read -r icon; do
		[ -n "$icon" ] || continue
		printf '<symbol id="%s" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">' "$icon"
		sed '1,/>$/d; /<\/svg>/d' "$tmp/tabler/icons/outline/$icon.svg" | tr -d '\n' | sed 's/  */ /g; s/> </></g; s/<path stroke="none" d="M0 0h24v24H0z" fill="none" *\/>//; s/^ //; s/ *$//; s/ \/>/\/>/g'
		printf '</symbol>\n'
	done <"$here/icons.txt"
	printf '</svg>\n'
} >"$out/icons.svg"

(cd "$out" && sha256sum htmx.min.js sse.min.js uPlot.iife.min.js uPlot.min.css icons.svg LICENSE-*.txt >SHA256SUMS)
