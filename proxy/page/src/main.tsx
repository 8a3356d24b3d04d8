import './style.css';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { login, resume } from './api';
import { App } from './app';
import { changed, loadAll } from './data';
import { start, stop } from './live';
import { watch } from './notify';

watch();
effect(() => {
  if (login.value === 'in') start({ joined: loadAll, change: changed });
  else stop();
});
const root = document.getElementById('app');
if (root) render(<App />, root);
void resume();
