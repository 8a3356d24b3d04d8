// Bundles the page and writes it down as C++: build.mjs SOURCE-FOLDER OUTPUT.cpp
// Runs in the folder that `npm ci` has filled.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

const [source, output] = process.argv.slice(2).map((p) => resolve(p));
const { build } = createRequire(join(process.cwd(), 'package.json'))('esbuild');

const bundled = await build({
  entryPoints: { app: join(source, 'src/main.tsx') },
  outdir: '/out',
  write: false,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  nodePaths: [join(process.cwd(), 'node_modules')],
  legalComments: 'none',
  charset: 'ascii',
  logLevel: 'warning',
});

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);
const assets = [];
function add(name, type, bytes) {
  const path = `/assets/${name.replace(/\.(\w+)$/, `-${hash(bytes)}.$1`)}`;
  assets.push({ path, type, bytes: Buffer.from(bytes) });
  return path;
}
const of = (suffix) => bundled.outputFiles.find((f) => f.path.endsWith(suffix)).contents;
const names = {
  SCRIPT: add('app.js', 'text/javascript; charset=utf-8', of('.js')),
  STYLE: add('app.css', 'text/css; charset=utf-8', of('.css')),
  ICON: add('icon.svg', 'image/svg+xml', readFileSync(join(source, 'src/icon.svg'))),
};
const html = readFileSync(join(source, 'src/index.html'), 'utf8')
  .replace(/\{(SCRIPT|STYLE|ICON)\}/g, (_, name) => names[name]);
assets.unshift({ path: '/', type: 'text/html; charset=utf-8', bytes: Buffer.from(html) });

const array = (name, bytes) =>
  `constexpr unsigned char ${name}[] = {${bytes.join(',').replace(/(.{1,96},)/g, '$1\n')}};\n`;
let text = '// Written by proxy/page/build.mjs.\n#include "proxy/page/assets.h"\n\n' +
  'namespace sallyport::proxy::page {\nnamespace {\n\n';
assets.forEach((a, i) => {
  a.gzip = gzipSync(a.bytes, { level: 9 });
  a.gzip[9] = 255; // the operating system: the same bytes wherever it is built
  text += array(`plain_${i}`, a.bytes) + array(`gzip_${i}`, a.gzip);
});
text += '\nconst asset table[] = {\n' + assets.map((a, i) =>
  `    {"${a.path}", "${a.type}", "\\"${hash(a.bytes)}\\"", plain_${i}, gzip_${i}},\n`).join('') +
  '};\n\n}  // namespace\n\nstd::span<const asset> assets() noexcept {\n    return table;\n}\n\n' +
  '}  // namespace sallyport::proxy::page\n';
writeFileSync(output, text);
const size = assets.reduce((sum, a) => sum + a.gzip.length, 0);
console.log(`the page: ${(size / 1024).toFixed(1)} KiB compressed`);
