import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { Secret } from '../../domain/secrets/secrets.ts';
import type { Vault, VaultGrant } from '../../domain/vaults/vault.ts';
import { parseApiVersion } from '../versions.ts';
import { createSecretReply } from './secret-text.ts';

const version = {
  version: '0123456789abcdef0123456789abcdef',
  enabled: true,
  notBefore: undefined,
  expires: undefined,
  created: 1,
  updated: 2,
  managed: false,
  tags: { a: 'é' },
  detail: undefined,
};

function secret(value: string | undefined, more: Partial<Secret> = {}): Secret {
  const bytes = value === undefined ? undefined : SecretBytes.fromText(value);
  return { name: 'one', version, contentType: undefined, value: bytes, deleted: undefined, ...more };
}

const vault = { name: 'dev', softDeleteRetentionInDays: 90 } as Vault;

function call(more: { origin?: string; apiVersion?: string; vault?: Vault } = {}) {
  const origin = more.origin ?? 'https://dev.vault.azure.net';
  const grant = { vault: more.vault ?? vault } as VaultGrant;
  return { origin, grant, apiVersion: parseApiVersion(more.apiVersion ?? '7.4') };
}

/** Everything that the text may depend on, and how often it was asked. */
function replies() {
  const asked = { times: 0 };
  const reply = createSecretReply((of, { name, value, contentType, version: { tags } }) => {
    asked.times += 1;
    const { vault: within } = of.grant;
    const days = within.softDeleteRetentionInDays;
    return { value, contentType, id: `${of.origin}/secrets/${name}`, rank: of.apiVersion.rank, days, tags };
  });
  const bodyOf = (of: ReturnType<typeof call>, one: Secret) => JSON.parse(reply(of, one).text ?? '');
  return { asked, reply, bodyOf };
}

describe('createSecretReply', () => {
  it('answers with the value first and everything else behind it', () => {
    const { reply } = replies();
    const answered = reply(call(), secret('a "b"\n\u2028é😀'));
    expect(answered).toMatchObject({
      status: 200,
      body: undefined,
      id: 'https://dev.vault.azure.net/secrets/one',
    });
    expect(answered.text).toBe(
      `{"value":${JSON.stringify('a "b"\n\u2028é😀')},"id":"https://dev.vault.azure.net/secrets/one","rank":5,"days":90,"tags":{"a":"é"}}`,
    );
  });

  it('makes the rest once for a version, and takes the value from each read', () => {
    const { asked, bodyOf } = replies();
    expect(bodyOf(call(), secret('first')).value).toBe('first');
    expect(bodyOf(call(), secret('second')).value).toBe('second');
    expect(asked.times).toBe(1);
  });

  it('answers without a value where there is none', () => {
    const { bodyOf } = replies();
    expect(bodyOf(call(), secret('first'))).toHaveProperty('value');
    expect(bodyOf(call(), secret(undefined))).not.toHaveProperty('value');
  });

  it.each([
    ['host name', call({ origin: 'https://dev.vault.own:8443' }), secret('v')],
    ['api-version', call({ apiVersion: '7.0' }), secret('v')],
    ['vault', call({ vault: { ...vault, softDeleteRetentionInDays: 7 } }), secret('v')],
    ['name', call(), secret('v', { name: 'ONE' })],
    ['content type', call(), secret('v', { contentType: 'application/x-pem-file' })],
    ['version', call(), secret('v', { version: { ...version, tags: { b: '2' } } })],
  ])('makes it anew for another %s, and again for the first', (_, otherCall, otherSecret) => {
    const { bodyOf } = replies();
    const first = bodyOf(call(), secret('v'));
    expect(bodyOf(otherCall, otherSecret)).toEqual(replies().bodyOf(otherCall, otherSecret));
    expect(bodyOf(otherCall, otherSecret)).not.toEqual(first);
    expect(bodyOf(call(), secret('v'))).toEqual(first);
  });
});
