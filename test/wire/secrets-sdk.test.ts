import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretClient, startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test('a secret that was set is read back with all that was said of it', async () => {
  const client = secretClient(server);
  const expiresOn = new Date('2030-01-01T00:00:00Z');
  const set = await client.setSecret('first', 'the value', {
    contentType: 'text/plain',
    tags: { a: 'b' },
    expiresOn,
  });
  const got = await client.getSecret('first');
  expect(got.value).toBe('the value');
  expect(got.properties).toMatchObject({
    version: set.properties.version,
    contentType: 'text/plain',
    tags: { a: 'b' },
    expiresOn,
    enabled: true,
    recoveryLevel: 'Recoverable+Purgeable',
    recoverableDays: 90,
    vaultUrl: 'https://dev.vault.azure.net',
  });
});
