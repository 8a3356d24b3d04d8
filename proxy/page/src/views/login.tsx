import { useEffect, useRef, useState } from 'preact/hooks';
import { login, logIn, me } from '../api';
import { Fault, Field, useAction, value } from '../ui';

export function Login() {
  const ended = login.value === 'ended';
  const [user, setUser] = useState(me.value?.user ?? '');
  const [password, setPassword] = useState('');
  const { busy, fault, run } = useAction();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    form.current?.querySelector<HTMLInputElement>(user ? '[type=password]' : 'input')?.focus();
  }, []);
  const submit = (e: Event): void => {
    e.preventDefault();
    void run(async () => {
      try {
        await logIn(user.trim(), password);
      } finally {
        setPassword('');
      }
    });
  };
  return (
    <main class="login">
      <form ref={form} onSubmit={submit}>
        <h1><span class="mark" aria-hidden="true" />Sallyport</h1>
        {ended
          ? <p class="notice wait" role="alert"><strong>Your login has ended.</strong> Log in again:
              you come back to where you were.</p>
          : <p class="quiet">Log in with the name and password that you connect to PostgreSQL
              with.</p>}
        <Field label="User">
          {(a) => <input {...a} name="user" autocomplete="username" autocapitalize="none"
                         spellcheck={false} required value={user} onInput={value(setUser)} />}
        </Field>
        <Field label="Password">
          {(a) => <input {...a} name="password" type="password" autocomplete="current-password"
                         required value={password} onInput={value(setPassword)} />}
        </Field>
        <Fault of={fault} />
        <button type="submit" class="primary wide" disabled={busy}>
          {busy ? 'Checking …' : 'Log in'}
        </button>
      </form>
    </main>
  );
}
