// The frame: where one can go, who one is, and what everybody must know at once.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { login, logOut, me } from './api';
import { flags, isLive, mineToDecide, optOuts, optOutsToDecide, reviewsDue } from './data';
import { crowded, retryNow, staleSince } from './live';
import { askPermission, permission } from './notify';
import { go, Link, section } from './route';
import { now, span } from './time';
import { Announcements, Dialog, Left, Text, useKeys } from './ui';
import { Audit } from './views/audit';
import { Insight } from './views/insight';
import { Login } from './views/login';
import { OptOuts } from './views/opt_outs';
import { Policy } from './views/policy';
import { Flags } from './views/restrain';
import { Reviews } from './views/reviews';
import { Sessions } from './views/sessions';
import { Waiting } from './views/waiting';

const places: [string, string, string, string][] = [
  ['holds', '/', 'Waiting', 'w'], ['opt-outs', '/opt-outs', 'Opt-outs', 'o'],
  ['reviews', '/reviews', 'Reviews', 'r'], ['sessions', '/sessions', 'Sessions', 's'],
  ['flags', '/flags', 'Flags', 'f'], ['audit', '/audit', 'Audit', 'l'],
  ['policy', '/policy', 'Policy', 'p'], ['insight', '/insight', 'Insight', 'i'],
];

function badge(place: string): [number, string] {
  if (place === 'holds') return [mineToDecide.value.length, 'wait for you'];
  if (place === 'opt-outs') return [optOutsToDecide.value.length, 'need you'];
  if (place === 'reviews') return [reviewsDue.value.length, 'are due'];
  if (place === 'flags') return [flags.value.filter((f) => f.live).length, 'are live'];
  return [0, ''];
}

function Places() {
  const here = section();
  return (
    <nav aria-label="Main">
      <ul>
        {places.map(([place, to, name]) => {
          const [n, what] = badge(place);
          return (
            <li key={place}>
              <Link to={to} aria-current={here === place ? 'page' : undefined}>
                {name}{n > 0 && <span class={`badge ${place === 'flags' ? 'calm' : ''}`}>{n}
                  <span class="unseen"> {what}</span></span>}
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

/// A glass that is broken concerns everybody who looks.
function BrokenGlass() {
  const broken = [...optOuts.value.values()].filter((o) => o.kind === 'break_glass' && isLive(o));
  if (broken.length === 0) return null;
  return (
    <div class="banner bad" role="alert">
      {broken.map((o) => <span key={o.id}>⚠ <strong><Text of={o.user} /> has broken the glass</strong>
        {' '}of {o.rule}: <Text of={o.reason} /> <Left until={o.until} />{' '}
        <Link to={`/opt-outs/${o.id}`}>look</Link></span>)}
    </div>
  );
}

function Stale() {
  const since = staleSince.value;
  if (since === null)
    return crowded.value && (
      <div class="banner wait" role="status">
        ⚠ <strong>Not quite live:</strong> your name follows changes in too many places already
        (browsers, programs). This page asks every 10 s instead.
        {' '}<button type="button" class="link" onClick={retryNow}>Now</button>
      </div>
    );
  void now.value;
  return (
    <div class="banner wait stale" role="status">
      ⚠ <strong>What you see may be out of date:</strong> the server has not been heard for
      {' '}{span(Date.now() - since)}. It is tried again.
      {' '}<button type="button" class="link" onClick={retryNow}>Now</button>
    </div>
  );
}

const helpKeys: [string, string][] = [
  ['j / k', 'next, previous hold'], ['a', 'approve'], ['d', 'deny'], ['Enter', 'send the form'],
  ['Esc', 'close, or back to the list'], ['/', 'filter or search'],
  ['n', 'new opt-out; new flag'], ['g then a letter', 'go: ' + places.map(([, , name, key]) =>
    `${key} ${name.toLowerCase()}`).join(', ')], ['?', 'this list'],
];

function Help({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {helpKeys.map(([k, what]) => <><dt><kbd>{k}</kbd></dt><dd>{what}</dd></>)}
      </dl>
    </Dialog>
  );
}

function Bell() {
  if (permission.value !== 'default') return null;
  return <button type="button" class="quiet" onClick={() => void askPermission()}>
    Notify me</button>;
}

function View() {
  switch (section()) {
    case 'holds': return <Waiting />;
    case 'opt-outs': return <OptOuts />;
    case 'reviews': return <Reviews />;
    case 'sessions': return <Sessions />;
    case 'flags': return <Flags />;
    case 'audit': return <Audit />;
    case 'policy': return <Policy />;
    case 'insight': return <Insight />;
    default: return <div class="page"><h1>There is nothing at this address.</h1>
      <Link to="/">To what waits</Link></div>;
  }
}

function Shell() {
  const help = useSignal(false);
  const going = useSignal(false);
  useKeys({
    '?': () => { help.value = true; },
    g: () => {
      going.value = true;
      setTimeout(() => { going.value = false; }, 1500);
    },
  });
  // The letter behind g, before any view takes it for its own.
  useEffect(() => {
    const pressed = (e: KeyboardEvent): void => {
      if (!going.value || e.ctrlKey || e.metaKey || e.altKey) return;
      going.value = false;
      const place = places.find(([, , , key]) => key === e.key);
      if (!place) return;
      e.preventDefault();
      e.stopImmediatePropagation();
      go(place[1]);
    };
    addEventListener('keydown', pressed, { capture: true });
    return () => removeEventListener('keydown', pressed, { capture: true });
  }, []);
  return (
    <>
      <a class="skip" href="#main">To the content</a>
      <header class="top">
        <Link to="/" class="brand"><span class="mark" aria-hidden="true" />Sallyport</Link>
        <Places />
        <span class="grow" />
        <Bell />
        <button type="button" class="quiet help" aria-label="Keys" title="Keys ( ? )"
                onClick={() => { help.value = true; }}>?</button>
        <span class="me" title={`${me.value?.groups.join(', ')}${me.value?.admin ? ', admin' : ''}${
          me.value?.auditor ? ', auditor' : ''}`}>{me.value?.user}</span>
        <button type="button" class="quiet" onClick={() => void logOut()}>Log out</button>
      </header>
      <Stale />
      <BrokenGlass />
      <main id="main" tabIndex={-1} class={staleSince.value === null ? '' : 'is-stale'}><View /></main>
      {help.value && <Help close={() => { help.value = false; }} />}
    </>
  );
}

export function App() {
  const ended = login.value === 'ended';
  return (
    <>
      {login.value === 'starting' && <p class="starting">Sallyport …</p>}
      {/* What was open stays as it was, unseen, until its owner is back. */}
      {me.value && <div class="shell" hidden={ended} inert={ended}><Shell /></div>}
      {(login.value === 'out' || ended) && <Login />}
      <Announcements />
    </>
  );
}
