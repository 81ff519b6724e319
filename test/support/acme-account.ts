/** The account that a server has at an authority, for tests in which somebody else does something with it. */
import { type KeptAccount, openAccountKey, readAccount } from '../../src/acme/account-key.ts';
import { openHttp } from '../../src/acme/https.ts';
import { openSession } from '../../src/acme/session.ts';
import { loadConfig } from '../../src/config.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { createIssuers } from '../../src/domain/certificates/issuers.ts';
import { buildCore } from '../../src/service/core.ts';
import { openData } from '../../src/service/data.ts';
import { createObjectReader, createObjectWriter } from '../../src/storage/objects.ts';
import type { Pebble } from './pebble.ts';
import type { TestServer } from './server.ts';

/** The account that is kept with an issuer of the vault `dev`; the server is stopped, and its data in SQLite. */
export async function keptAccount({ folder }: TestServer, issuer: string): Promise<KeptAccount> {
  const config = loadConfig({ flags: { data: folder }, environment: {} });
  const tools = { config, clock: systemClock, random: systemRandom, log: silentLog };
  const data = await openData(tools);
  try {
    const { vaults, vaultKeys } = await buildCore(tools, data, fetch);
    const vault = (await vaults.list()).find(({ name }) => name === 'dev');
    const [reader, writer] = [createObjectReader(data.db), createObjectWriter(data.db)];
    const issuers = createIssuers({
      ...{ reader, writer, vaultKeys },
      clock: systemClock,
      random: systemRandom,
    });
    const account = readAccount((await issuers.open(vault?.id ?? '', issuer))?.kept);
    if (account === undefined) throw new Error('there is no account');
    return account;
  } finally {
    await data.close();
  }
}

/** RFC 8555 §7.3.6. */
export async function deactivateAccount(pebble: Pebble, { jwk, url = '' }: KeptAccount): Promise<void> {
  const http = openHttp(systemClock, { ca: pebble.ca });
  try {
    const signer = await openAccountKey(jwk);
    const directory = { name: 'DigiCert', url: pebble.directory };
    const session = await openSession({ clock: systemClock, http, signer }, directory);
    await session.post(url, { payload: { status: 'deactivated' }, kid: url });
  } finally {
    http.close();
  }
}
