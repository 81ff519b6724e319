/**
 * Proves that the contacts of a vault get letters through the relay of the settings: what EmailContacts says of a
 * certificate that nears its end, once, in spite of a relay that is busy; and what has become of a failed renewal.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CertificateServer, startCertificateServer } from '../support/certificate-server.ts';
import { type Letter, type SmtpSink, startSmtpSink } from '../support/smtp-sink.ts';

const day = 86_400;
const contacts = ['one@example.com', 'two@example.com'];

let sink: SmtpSink;
let strongroom: CertificateServer;
let read = 0;
beforeAll(async () => {
  sink = await startSmtpSink();
  const smtp = { host: '127.0.0.1', port: sink.port, secure: 'none', from: 'vault@example.org' };
  strongroom = await startCertificateServer({ settings: { smtp }, daysBehind: 80 });
  const body = { contacts: contacts.map((email) => ({ email })) };
  expect((await strongroom.call('PUT', '/certificates/contacts', body)).status).toBe(200);
});
afterAll(async () => {
  await strongroom?.close();
  await sink?.close();
});

async function certified(name: string, actions: readonly object[], issuer = 'Self'): Promise<number> {
  const policy = {
    key_props: { kty: 'EC' },
    x509_props: { subject: `CN=${name}`, validity_months: 1 },
    lifetime_actions: actions,
    issuer: { name: issuer },
  };
  expect((await strongroom.call('POST', `/certificates/${name}/create`, { policy })).status).toBe(202);
  const { status, json } = await strongroom.call('GET', `/certificates/${name}`);
  expect([status, json.attributes.enabled]).toEqual([200, true]);
  return json.attributes.exp as number;
}

const action = (action_type: string, days_before_expiry: number) => ({
  trigger: { days_before_expiry },
  action: { action_type },
});

/** Letters about a certificate that have come since the last look at the letters. */
function unread(name: string): readonly Letter[] {
  const since = sink.letters.slice(read);
  read = sink.letters.length;
  return since.filter(({ message }) => message.includes(`Subject: Certificate ${name} `));
}

/** Lets time pass until there is a letter about the certificate. */
function nextLetters(name: string): Promise<readonly Letter[]> {
  return strongroom.until(() => {
    const letters = unread(name);
    return letters.length > 0 ? letters : undefined;
  });
}

/** Some minutes go by; answers the letters about the certificate that came in them. */
async function lettersIn(minutes: number, name: string): Promise<readonly Letter[]> {
  for (let count = 0; count < 20 * minutes; count += 1) await strongroom.pass();
  return unread(name);
}

async function versions(name: string): Promise<number> {
  return (await strongroom.call('GET', `/certificates/${name}/versions`)).json.value.length;
}

const jumpTo = (seconds: number) => strongroom.jump(seconds - strongroom.now());

test('contacts are told once that a certificate ends, and of no other', async () => {
  const expires = await certified('told', [action('EmailContacts', 10)]);
  await certified('untold', [action('EmailContacts', 5)]);
  await jumpTo(expires - 10 * day - 600);
  expect(await lettersIn(3, 'told')).toEqual([]);
  await jumpTo(expires - 10 * day);
  const [letter, ...others] = await nextLetters('told');
  expect(others).toEqual([]);
  expect(letter).toMatchObject({ from: 'vault@example.org', to: contacts });
  const date = new Date(expires * 1000).toISOString().slice(0, 10);
  expect(letter?.message).toMatch(new RegExp(`^Subject: Certificate told expires on ${date}\r$`, 'm'));
  expect(letter?.message).toContain('dev.vault.strongroom.localhost');
  expect(letter?.message).toContain('somebody has to renew it before then');
  expect(await lettersIn(3, 'told')).toEqual([]);
  expect(sink.letters).toHaveLength(1);
  expect(await versions('told')).toBe(1);
});

test('a relay that is busy is asked again after a quarter of an hour, and a restart forgets nothing', async () => {
  const expires = await certified('busy', [action('EmailContacts', 10), action('AutoRenew', 5)]);
  for (const contact of contacts) sink.refused.set(contact, 451);
  await jumpTo(expires - 10 * day);
  const refusals = () =>
    strongroom.logged.filter((line) => line.includes('did not go out') && line.includes('busy')).length;
  await strongroom.until(() => refusals() > 0 || undefined);
  sink.refused.clear();
  await strongroom.restart();
  expect(await lettersIn(3, 'busy')).toEqual([]);
  await strongroom.jump(900);
  const [letter, ...others] = await nextLetters('busy');
  expect(others).toEqual([]);
  expect(letter).toMatchObject({ to: contacts });
  expect(letter?.message).toContain('It will be renewed automatically');
  expect(await lettersIn(3, 'busy')).toEqual([]);
});

test('contacts are told why a renewal came to nothing', async () => {
  const authority = {
    key_props: { kty: 'EC' },
    x509_props: {
      ...{ subject: 'CN=Root', key_usage: ['keyCertSign'], ekus: [], validity_months: 120 },
      basic_constraints: { ca: true },
    },
    lifetime_actions: [],
    issuer: { name: 'Self' },
  };
  await strongroom.call('POST', '/certificates/root/create', { policy: authority });
  const body = { provider: 'Strongroom', credentials: { account_id: 'root' } };
  await strongroom.call('PUT', '/certificates/issuers/by-root', body);
  const expires = await certified('failing', [action('AutoRenew', 10)], 'by-root');
  await strongroom.call('PATCH', '/certificates/root', { attributes: { enabled: false } });
  await jumpTo(expires - 10 * day);
  const [letter] = await nextLetters('failing');
  expect(letter?.to).toEqual(contacts);
  expect(letter?.message).toContain('Certificate failing could not be renewed');
  expect(letter?.message).toContain('AuthorityNotFound: There is no enabled certificate root');
  expect(letter?.message).toContain('It will be tried again');
  expect(await versions('failing')).toBe(1);
  await strongroom.call('PATCH', '/certificates/root', { attributes: { enabled: true } });
  await strongroom.jump(1800);
  await strongroom.until(async () => ((await versions('failing')) > 1 ? true : undefined));
});
