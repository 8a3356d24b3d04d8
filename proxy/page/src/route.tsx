// Where one is: the path of the address, so that a link from elsewhere leads to one hold.
import { signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';

export const path = signal(location.pathname);
export const query = signal(location.search);

function read(): void {
  path.value = location.pathname;
  query.value = location.search;
}
addEventListener('popstate', read);

export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  read();
}

/// The number behind a folder: idIn('holds') is 7 at /holds/7.
export function idIn(folder: string): number | null {
  const m = /^\/([a-z-]+)\/(\d{1,15})$/.exec(path.value);
  return m && m[1] === folder ? Number(m[2]) : null;
}

export function section(): string {
  return path.value.split('/')[1] || 'holds';
}

interface LinkProps extends Omit<JSX.HTMLAttributes<HTMLAnchorElement>, 'href'> {
  to: string;
  class?: string;
  children?: ComponentChildren;
}

export function Link({ to, children, ...rest }: LinkProps) {
  const follow = (e: MouseEvent): void => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    go(to);
  };
  return <a href={to} onClick={follow} {...rest}>{children}</a>;
}
