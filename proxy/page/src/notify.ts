// The title, and the browser's own notifications: for whoever looks elsewhere.
import { effect, signal } from '@preact/signals';
import { login } from './api';
import { loaded, mineToDecide, onArrival, optOutsToDecide } from './data';
import { go } from './route';
import { announce } from './ui';
import { plain } from './visible';

export const permission = signal<NotificationPermission | 'none'>(
  'Notification' in window ? Notification.permission : 'none');

export async function askPermission(): Promise<void> {
  permission.value = await Notification.requestPermission();
}

function tell(title: string, body: string, path: string): void {
  if (permission.value !== 'granted') return;
  try {
    const n = new Notification(title, { body, tag: path });
    n.onclick = () => {
      focus();
      go(path);
      n.close();
    };
  } catch {
    // Some browsers allow them to service workers alone; the title still tells.
  }
}

export function watch(): void {
  effect(() => {
    const n = mineToDecide.value.length + optOutsToDecide.value.length;
    const name = 'Sallyport';
    if (login.value === 'ended') document.title = `⚠ logged out · ${name}`;
    else document.title = loaded.value && n > 0 ? `(${n}) ${name}` : name;
  });
  let wasIn = false;
  effect(() => {
    if (login.value === 'in') wasIn = true;
    if (login.value === 'ended' && wasIn && document.hidden)
      tell('Sallyport: your login has ended', 'Log in again to hear of what waits.', '/');
  });
  onArrival((a) => {
    const text = a.kind === 'hold'
      ? `${plain(a.hold.user)} waits on ${a.hold.target}, rule ${a.hold.rule}`
      : `${plain(a.optOut.requested_by)} asks to opt out of ${a.optOut.rule}`;
    const path = a.kind === 'hold' ? `/holds/${a.hold.id}` : `/opt-outs/${a.optOut.id}`;
    announce(text);
    if (document.hidden) tell('Sallyport: somebody waits for you', text, path);
  });
}
