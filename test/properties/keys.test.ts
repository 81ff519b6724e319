/**
 * Proves the life of keys and of their versions against a model, over the wire: every random sequence of requests is
 * answered as the model predicts, whole replies and kinds of refusals alike, and whatever a version has signed or
 * encrypted it verifies and decrypts whenever its state allows, through rotation, deletion, backup and restarts.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectTo } from '../support/cluster-client.ts';
import { type ManualClock, manualClock } from '../support/identity.ts';
import { type KeyModel, keyCommands, type RealKeys } from '../support/key-commands.ts';
import { type ModelVault, modelKinds } from '../support/key-model.ts';
import { onPostgres, startTestServer, type TestServer, tokenFor } from '../support/server.ts';
import { makeVault } from '../support/vault-rest.ts';

/** Fixed, so that a failure is the same everywhere; another number tries other sequences. */
const seed = 74;

let clock: ManualClock;
let server: TestServer;
let cases = 0;
/** Of all sequences. */
const confirmed: KeyModel['confirmed'] = { signatures: 0, ciphertexts: 0 };
beforeAll(async () => {
  // Certificates are checked by the machine's clock, so that the server's may not run ahead of it.
  clock = manualClock(Math.floor(Date.now() / 1000) * 1000 - 20 * 86_400_000);
  server = await startTestServer({ clock });
});
afterAll(() => server.close());

/** An empty vault of its own, and what is known of it. */
async function withNewCase(
  of: Pick<ModelVault, 'retention' | 'purgeProtection'>,
  run: (setup: { model: KeyModel; real: RealKeys }) => Promise<void>,
): Promise<void> {
  cases += 1;
  const name = `case-${cases}`;
  const { retention: retentionDays, purgeProtection } = of;
  await makeVault(server, name, { sku: 'premium', retentionDays, purgeProtection });
  const host = `${name}.vault.azure.net`;
  const headers = { Authorization: `Bearer ${await tokenFor(server)}` };
  let connection = connectTo(server, host, headers);
  const real: RealKeys = {
    send: (...request) => connection.send(...request),
    now: () => clock.now() / 1000,
    jump: (seconds) => clock.jump(seconds * 1000),
    async restart() {
      connection.close();
      await server.restart();
      connection = connectTo(server, host, headers);
    },
  };
  const vault = { origin: `https://${host}`, ...of, keys: new Map() };
  try {
    await run({ model: { vault, blobs: [], signatures: [], ciphertexts: [], confirmed }, real });
  } finally {
    connection.close();
  }
}

const kinds = modelKinds();

test.each([
  { retention: 90, purgeProtection: false },
  { retention: 7, purgeProtection: true },
])('retention $retention, purge protection $purgeProtection', async (of) => {
  await fc.assert(
    fc.asyncProperty(keyCommands(kinds, { most: 100, restarts: false }), (sequence) =>
      withNewCase(of, async ({ model, real }) => {
        await fc.asyncModelRun(() => ({ model, real }), sequence);
      }),
    ),
    { numRuns: onPostgres ? 20 : 30, seed: seed + of.retention },
  );
});

test('a restart changes nothing of it', async () => {
  await fc.assert(
    fc.asyncProperty(keyCommands(kinds, { most: 30, restarts: true }), (sequence) =>
      withNewCase({ retention: 90, purgeProtection: false }, async ({ model, real }) => {
        await fc.asyncModelRun(() => ({ model, real }), sequence);
      }),
    ),
    { numRuns: 8, seed },
  );
});

test('what was made was verified and decrypted later, often enough to mean something', () => {
  expect(confirmed.signatures).toBeGreaterThan(10);
  expect(confirmed.ciphertexts).toBeGreaterThan(5);
});
