import './waiting.mjs';
import './others.mjs';
import './policy.mjs';
import './tabs.mjs';
import './shell.mjs';
import { end, runAll, startBrowser, startProxy } from './harness.mjs';

let good = false;
try {
  await startProxy();
  await startBrowser();
  good = await runAll();
} finally {
  await end();
}
process.exit(good ? 0 : 1);
