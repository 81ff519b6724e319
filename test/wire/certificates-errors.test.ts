/** Proves the refusals of the certificates API, to the letter where Azure's were recorded: by path, state and body. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  chainFor,
  pemFile,
  quickBody,
  selfSignedFile,
  strangerCertificate,
} from '../support/certificate-clients.ts';
import { createIssuer, type Issuer } from '../support/certificate-files.ts';
import { manualClock } from '../support/identity.ts';
import {
  makeIdentity,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, makeVault, secretNotFound, type VaultCaller, versionOf } from '../support/vault-rest.ts';

const clock = manualClock(Date.parse('2026-11-20T12:00:00Z'));

let server: TestServer;
let token: string;
let call: VaultCaller;
let issuer: Issuer;

beforeAll(async () => {
  server = await startTestServer({ clock });
  await makeVault(server, 'kept', { purgeProtection: true, retentionDays: 7 });
  token = await tokenFor(server);
  call = vaultCaller(server, token);
  issuer = await createIssuer();
  await call('POST', '/certificates/live/create', quickBody);
  await call('POST', '/certificates/gone/create', quickBody);
  await call('DELETE', '/certificates/gone');
});
afterAll(() => server.close());

function notFound(id: string): string {
  return secretNotFound(id)
    .replace('SecretNotFound', 'CertificateNotFound')
    .replace('A secret', 'A certificate')
    .replace('this secret', 'this certificate');
}

function answer({ status, text }: RawResponse): [number, string] {
  return [status, text];
}

/** A refusal with this code, whose message begins or ends so. */
function refused({ status, json }: RawResponse, code: string, message: RegExp): void {
  expect([status, json.error.code]).toEqual([code === 'Conflict' ? 409 : 400, code]);
  expect(json.error.message).toMatch(message);
}

const unknownVersion = '0123456789abcdef0123456789abcdef';
const unknown = { policy: { ...quickBody.policy, issuer: { name: 'Unknown' } } };
const ask = async (name: string): Promise<string> =>
  (await call('POST', `/certificates/${name}/create`, unknown)).json.csr;

describe('404', () => {
  test('a certificate that is not there or is deleted, for every operation on a live one', async () => {
    for (const name of ['nosuch', 'gone']) {
      const replies = [
        await call('GET', `/certificates/${name}`),
        await call('PATCH', `/certificates/${name}`, {}),
        await call('PATCH', `/certificates/${name}/${unknownVersion}`, {}),
        await call('DELETE', `/certificates/${name}`),
        await call('POST', `/certificates/${name}/backup`),
        await call('GET', `/certificates/${name}/policy`),
        await call('PATCH', `/certificates/${name}/policy`, {}),
      ];
      for (const reply of replies) expect(answer(reply)).toEqual([404, notFound(name)]);
    }
    expect(answer(await call('POST', '/deletedcertificates/nosuch/recover'))).toEqual([
      404,
      notFound('nosuch'),
    ]);
    expect((await call('DELETE', '/deletedcertificates/nosuch')).status).toBe(404);
  });

  test('a version that is not there', async () => {
    for (const version of [unknownVersion, 'x']) {
      const missing = notFound(`live/versions/${version}`);
      expect(answer(await call('GET', `/certificates/live/${version}`))).toEqual([404, missing]);
      expect(answer(await call('PATCH', `/certificates/live/${version}`, {}))).toEqual([404, missing]);
    }
  });

  test('a deleted certificate that is live, absent or purged', async () => {
    for (const name of ['live', 'nosuch'])
      expect(answer(await call('GET', `/deletedcertificates/${name}`))).toEqual([
        404,
        errorBody('CertificateNotFound', `Deleted Certificate not found: ${name}`),
      ]);
  });

  test('an operation that never was, or was deleted', async () => {
    await ask('withdrawn');
    expect((await call('DELETE', '/certificates/withdrawn/pending')).status).toBe(200);
    for (const name of ['nosuch', 'withdrawn', 'gone']) {
      const missing = errorBody('PendingCertificateNotFound', `Pending certificate not found: ${name}`);
      const replies = [
        await call('GET', `/certificates/${name}/pending`),
        await call('PATCH', `/certificates/${name}/pending`, { cancellation_requested: true }),
        await call('DELETE', `/certificates/${name}/pending`),
        await call('POST', `/certificates/${name}/pending/merge`, { x5c: ['AAAA'] }),
      ];
      for (const reply of replies) expect(answer(reply)).toEqual([404, missing]);
    }
  });

  test('issuers and contacts', async () => {
    const missing = errorBody('CertificateIssuerNotFound', 'Issuer not found');
    expect(answer(await call('GET', '/certificates/issuers/nosuch'))).toEqual([404, missing]);
    expect(answer(await call('DELETE', '/certificates/issuers/nosuch'))).toEqual([404, missing]);
    expect(answer(await call('PATCH', '/certificates/issuers/nosuch', {}))).toEqual([
      404,
      errorBody('CertificateIssuerNotFound', 'Issuer nosuch not found'),
    ]);
    const none = errorBody('ContactsNotFound', 'Contacts not found');
    expect(answer(await call('GET', '/certificates/contacts'))).toEqual([404, none]);
    expect(answer(await call('DELETE', '/certificates/contacts'))).toEqual([404, none]);
  });
});

describe('names and paths', () => {
  test('names that are none', async () => {
    expect(answer(await call('POST', '/certificates/in_valid/create', quickBody))).toEqual([
      400,
      errorBody('BadParameter', 'The request URI contains an invalid name: in_valid'),
    ]);
    expect(answer(await call('POST', '/certificates//create', quickBody))).toEqual([
      405,
      errorBody('MethodNotAllowed', 'HTTP POST not allowed'),
    ]);
    const longest = 'a'.repeat(127);
    expect((await call('POST', `/certificates/${longest}/create`, quickBody)).status).toBe(202);
    refused(
      await call('POST', `/certificates/${longest}a/create`, quickBody),
      'BadParameter',
      /invalid name/,
    );
    refused(
      await call('PUT', '/certificates/issuers/in_valid', { provider: 'Test' }),
      'BadParameter',
      /invalid name/,
    );
  });

  test('no certificate has the name of what is beside it in the path', async () => {
    for (const name of ['issuers', 'Contacts']) {
      refused(await call('POST', `/certificates/${name}/create`, quickBody), 'BadParameter', /invalid name/);
      refused(
        await call('POST', `/certificates/${name}/import`, { value: 'x' }),
        'BadParameter',
        /invalid name/,
      );
    }
    for (const name of ['restore', 'pending', 'versions', 'policy', 'create', 'merge']) {
      expect((await call('POST', `/certificates/${name}/create`, quickBody)).status).toBe(202);
      expect((await call('GET', `/certificates/${name}`)).json.id).toContain(`/certificates/${name}/`);
      expect((await call('GET', `/certificates/${name}/pending`)).json.status).toBe('completed');
    }
  });

  test('operations that are none', async () => {
    const message = (operation: string) => `Method POST does not allow operation '${operation}'`;
    expect(answer(await call('POST', '/certificates/live/renew', {}))).toEqual([
      400,
      errorBody('BadParameter', message('renew')),
    ]);
  });
});

describe('states', () => {
  test('what is deleted holds its name, and those of its key and secret', async () => {
    for (const operation of ['create', 'import']) {
      const body = operation === 'create' ? quickBody : { value: await pemFile(issuer) };
      expect(answer(await call('POST', `/certificates/gone/${operation}`, body))).toEqual([
        409,
        errorBody(
          'Conflict',
          'Certificate gone is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the certificate can only be recovered or purged.',
          'ObjectIsDeletedButRecoverable',
        ),
      ]);
    }
    expect((await call('PUT', '/secrets/gone', { value: 'v' })).status).toBe(403);
    expect((await call('POST', '/keys/gone/create', { kty: 'EC' })).status).toBe(403);
  });

  test('a name is free only where no key and no secret has it', async () => {
    await call('PUT', '/secrets/mine', { value: 'v' });
    await call('POST', '/keys/yours/create', { kty: 'EC' });
    for (const name of ['mine', 'yours']) {
      refused(await call('POST', `/certificates/${name}/create`, quickBody), 'Conflict', new RegExp(name));
      refused(
        await call('POST', `/certificates/${name}/import`, { value: await pemFile(issuer) }),
        'Conflict',
        /./,
      );
      expect((await call('GET', `/certificates/${name}`)).status).toBe(404);
    }
  });

  test('one operation at a time', async () => {
    await ask('busy');
    const busy = errorBody(
      'Conflict',
      "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress.",
    );
    expect(answer(await call('POST', '/certificates/busy/create', quickBody))).toEqual([409, busy]);
    const body = { value: await pemFile(issuer) };
    expect(answer(await call('POST', '/certificates/busy/import', body))).toEqual([409, busy]);
    await call('PATCH', '/certificates/busy/pending', { cancellation_requested: true });
    expect((await call('POST', '/certificates/busy/create', quickBody)).status).toBe(202);
  });

  test('what has ended can be neither merged nor cancelled', async () => {
    const csr = await ask('ended');
    const x5c = await chainFor(issuer, csr);
    expect((await call('POST', '/certificates/ended/pending/merge', { x5c })).status).toBe(201);
    refused(await call('POST', '/certificates/ended/pending/merge', { x5c }), 'Conflict', /completed/);
    refused(
      await call('PATCH', '/certificates/ended/pending', { cancellation_requested: true }),
      'Conflict',
      /completed/,
    );
  });

  test('purge and recover of what is live; purge where a vault protects', async () => {
    expect(answer(await call('DELETE', '/deletedcertificates/live'))).toEqual([
      400,
      errorBody(
        'MethodNotAllowed',
        'Certificate must be deleted prior to being purged.',
        'ObjectMustBeDeletedPriorToBeingPurged',
      ),
    ]);
    expect(answer(await call('POST', '/deletedcertificates/live/recover'))).toEqual([
      400,
      errorBody(
        'MethodNotAllowed',
        'Certificate exists already: live',
        'RequestNotAllowedOnNonDeletedObject',
      ),
    ]);
    const there = vaultCaller(server, token, 'kept');
    await there('POST', '/certificates/a/create', quickBody);
    await there('DELETE', '/certificates/a');
    const purged = await there('DELETE', '/deletedcertificates/a');
    expect([purged.status, purged.json.error.code]).toEqual([403, 'Forbidden']);
    expect((await there('POST', '/deletedcertificates/a/recover')).status).toBe(200);
  });

  test('a key and a secret of a certificate are changed by the certificate alone', async () => {
    const deleted = await call('DELETE', '/secrets/live');
    const link =
      'https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate';
    expect(answer(deleted)).toEqual([
      403,
      errorBody(
        'Forbidden',
        `Operation "delete" is not allowed on this secret, since it is associated with a certificate. Perform the operation on the corresponding certificate. For more information refer to ${link}`,
        'SecretManagedByKeyVault',
      ),
    ]);
    expect(answer(await call('DELETE', '/keys/live'))).toEqual([
      403,
      errorBody(
        'Forbidden',
        'Operation "delete" is not allowed as this object\'s lifetime is managed by Key Vault.',
        'KeyManagedByKeyVault',
      ),
    ]);
    const others = [
      await call('PUT', '/secrets/live', { value: 'v' }),
      await call('PATCH', '/secrets/live', { attributes: { enabled: false } }),
      await call('POST', '/keys/live/create', { kty: 'EC' }),
      await call('PATCH', '/keys/live', { attributes: { enabled: false } }),
      await call('POST', '/keys/live/rotate'),
    ];
    for (const { status, json } of others)
      expect([status, json.error.innererror.code]).toEqual([
        403,
        expect.stringMatching(/ManagedByKeyVault$/),
      ]);
    await call('DELETE', '/certificates/live');
    for (const path of ['/deletedsecrets/live', '/deletedkeys/live']) {
      expect((await call('DELETE', path)).status).toBe(403);
      expect((await call('POST', `${path}/recover`)).status).toBe(403);
    }
    expect((await call('POST', '/deletedcertificates/live/recover')).status).toBe(200);
  });
});

describe('backups', () => {
  test('of a certificate that is there, altered, or of another kind', async () => {
    const { value } = (await call('POST', '/certificates/live/backup')).json;
    const id = `https://dev.vault.azure.net/certificates/live/${versionOf(await call('GET', '/certificates/live'))}`;
    const conflict = (await call('POST', '/certificates/restore', { value })).json.error;
    expect([conflict.code, conflict.message]).toEqual([
      'Conflict',
      expect.stringContaining(`There was a conflict restoring the certificate '${id}'.`),
    ]);
    const malformed = 'Malformed backup blob';
    refused(
      await call('POST', '/certificates/restore', { value: 'AAAA' }),
      malformed,
      /^Backup blob contains invalid/,
    );
    refused(
      await call('POST', '/certificates/restore', { value: `${value.slice(0, -8)}AAAAAAAA` }),
      malformed,
      /corrupt/,
    );
    refused(await call('POST', '/secrets/restore', { value }), malformed, /./);
    await call('PUT', '/secrets/plain', { value: 'v' });
    const secret = (await call('POST', '/secrets/plain/backup')).json;
    refused(await call('POST', '/certificates/restore', secret), malformed, /./);
  });
});

describe('merge', () => {
  test('a chain that is not for the key leaves the operation as it was', async () => {
    const csr = await ask('merge');
    const merge = (x5c: unknown) => call('POST', '/certificates/merge/pending/merge', { x5c });
    const stranger = await strangerCertificate(issuer);
    expect(answer(await merge([stranger]))).toEqual([
      400,
      errorBody(
        'BadParameter',
        'The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.',
      ),
    ]);
    const authorities = (await chainFor(issuer, csr)).slice(2);
    refused(await merge(authorities), 'BadParameter', /end-entity|Unable to parse X5c certificate chain/);
    const unreadable = 'Certificate can not be read. Please check if certificate is valid.';
    for (const x5c of [['AAAA'], ['!'], ['MIIB']])
      expect(answer(await merge(x5c))).toEqual([400, errorBody('BadParameter', unreadable)]);
    for (const x5c of [[], 'AAAA', [1], null, undefined])
      refused(await merge(x5c), 'BadParameter', /^Property x5c has invalid value/);
    expect((await call('GET', '/certificates/merge/pending')).json.status).toBe('inProgress');
    expect((await merge(await chainFor(issuer, csr))).status).toBe(201);
  });
});

describe('bodies', () => {
  const create = (policy: unknown) => call('POST', '/certificates/body/create', { policy });
  const quick = quickBody.policy;

  test('a first version needs a policy', async () => {
    refused(await call('POST', '/certificates/body/create', {}), 'BadParameter', /policy/);
    expect((await call('GET', '/certificates/body')).status).toBe(404);
  });

  test.each([
    ['no object', 'x'],
    ['no subject', {}],
    ['a wrong type of key', { ...quick, key_props: { kty: 'oct' } }],
    ['a size that is none', { ...quick, key_props: { kty: 'RSA', key_size: '2048' } }],
    ['a usage that is none', { ...quick, x509_props: { subject: 'CN=a', key_usage: ['sign'] } }],
    ['a list that is none', { ...quick, x509_props: { subject: 'CN=a', ekus: '1.3.6.1' } }],
    ['months below none', { ...quick, x509_props: { subject: 'CN=a', validity_months: -1 } }],
    [
      'an action that is none',
      { ...quick, lifetime_actions: [{ action: { action_type: 'x' }, trigger: { lifetime_percentage: 1 } }] },
    ],
    ['an action without trigger', { ...quick, lifetime_actions: [{ action: { action_type: 'AutoRenew' } }] }],
    ['a subject that is none', { ...quick, x509_props: { subject: 'a' } }],
    ['half of a surrogate pair', { ...quick, x509_props: { subject: 'CN=\ud800' } }],
    ['a name with NUL', { ...quick, x509_props: { subject: 'CN=a', sans: { dns_names: ['a\u0000.b'] } } }],
    ['a content type that is none', { ...quick, secret_props: { contentType: 'text/plain' } }],
  ])('a policy with %s', async (_, policy) => {
    refused(await create(policy), 'BadParameter', /^Property policy has invalid value\r\n./);
  });

  test('sizes that are none, in the words of Azure', async () => {
    const message = (text: string) => errorBody('BadParameter', text);
    expect(answer(await create({ ...quick, key_props: { kty: 'EC', key_size: 4096 } }))).toEqual([
      400,
      message('Unsupported key size (4096). Supported sizes are [256, 384, 521]'),
    ]);
    expect(answer(await create({ ...quick, key_props: { kty: 'RSA', key_size: 1024 } }))).toEqual([
      400,
      message('Unsupported key size (1024). Supported sizes are [2048, 3072, 4096]'),
    ]);
  });

  test('a key in an HSM, in a vault that has none', async () => {
    const policy = { ...quick, key_props: { kty: 'EC-HSM' } };
    const reply = await vaultCaller(server, token, 'kept')('POST', '/certificates/hsm/create', { policy });
    const message = 'Hardware key operation not allowed on standard vault';
    expect(answer(reply)).toEqual([400, errorBody('BadParameter', message)]);
  });

  test('an issuer that is not there', async () => {
    refused(await create({ ...quick, issuer: { name: 'nosuch' } }), 'BadParameter', /ssuer/);
    expect((await call('GET', '/certificates/body')).status).toBe(404);
  });

  test('what is for the platform alone', async () => {
    const policy = { ...quick, platformManaged: { certificateUsage: 'x' } };
    const path = '/certificates/platform/create?api-version=2026-04-01';
    refused(await call('POST', path, { policy }), 'BadParameter', /platformManaged/);
    expect((await call('POST', '/certificates/platform/create', { policy })).status).toBe(202);
  });

  test('tags: 15 of at most 256 characters', async () => {
    const tags = Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`${at}`, 'a'.repeat(256)]));
    expect((await call('POST', '/certificates/tags/create', { ...quickBody, tags })).status).toBe(202);
    for (const wrong of [{ ...tags, more: '' }, { a: 'a'.repeat(257) }, { '': 'a' }, { a: 1 }])
      refused(
        await call('POST', '/certificates/tags/create', { ...quickBody, tags: wrong }),
        'BadParameter',
        /^Property tags/,
      );
  });

  test.each([
    ['nothing', {}],
    ['an empty value', { value: '' }],
    ['a number', { value: 1 }],
    ['no base64', { value: '!' }],
    ['base64 of nothing', { value: 'AAAA' }],
    ['PEM of nothing', { value: '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----' }],
  ])('an import of %s', async (_, body) => {
    refused(await call('POST', '/certificates/import/import', body), 'BadParameter', /./);
    expect((await call('GET', '/certificates/import')).status).toBe(404);
  });

  test('bodies and lists that are too large', async () => {
    const megabyte = 1024 * 1024;
    const over = await call('POST', '/certificates/large/import', { value: 'A'.repeat(1.5 * megabyte) });
    expect([over.status, over.json.error.code]).toEqual([413, 'RequestBodyTooLarge']);
    refused(
      await call('POST', '/certificates/large/import', { value: 'A'.repeat(1.4 * megabyte) }),
      'BadParameter',
      /./,
    );
    const x5c = Array.from({ length: 65 }, () => 'AAAA');
    refused(
      await call('POST', '/certificates/large/pending/merge', { x5c }),
      'BadParameter',
      /^Property x5c/,
    );
    const merged = await call('POST', '/certificates/large/pending/merge', {
      x5c: ['A'.repeat(3 * megabyte)],
    });
    expect(merged.status).toBe(413);
    const dns_names = Array.from({ length: 101 }, (_, at) => `a${at}`);
    refused(await create({ ...quick, x509_props: { sans: { dns_names } } }), 'BadParameter', /At most 100/);
    const many = Array.from({ length: 1025 }, () => 'a');
    refused(
      await create({ ...quick, x509_props: { sans: { dns_names: many } } }),
      'BadParameter',
      /^Property policy/,
    );
  });

  test('an import of what has expired, and of what is not valid yet', async () => {
    const at = (seconds: number) => new Date(clock.now() + seconds * 1000);
    const file = (from: number, to: number) => selfSignedFile({ notBefore: at(from), notAfter: at(to) });
    const send = async (value: string) => call('POST', '/certificates/dated/import', { value });
    const expired = errorBody('BadParameter', 'X509 Certificate is already expired');
    for (const to of [-3600, 0]) expect(answer(await send(await file(-7200, to)))).toEqual([400, expired]);
    expect((await send(await file(-7200, 1))).status).toBe(200);
    expect((await send(await file(3600, 7200))).status).toBe(200);
  });
});

test('who may read certificates may not read their keys and secrets', async () => {
  const identity = await makeIdentity(server, 'reader', [{ role: 'Key Vault Reader', vault: 'dev' }]);
  const reader = vaultCaller(server, await tokenFor(server, { identity }));
  expect((await reader('GET', '/certificates/live')).status).toBe(200);
  expect((await reader('GET', '/secrets/live')).status).toBe(403);
  expect((await reader('PATCH', '/certificates/live', {})).status).toBe(403);
});
