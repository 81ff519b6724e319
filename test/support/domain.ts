/** The server's inside without a network: a data folder of its own, real SQLite, a clock in the test's hands. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Action } from '../../src/authorization/actions.ts';
import { systemGrant } from '../../src/authorization/grant.ts';
import { loadConfig } from '../../src/config.ts';
import { silentLog } from '../../src/core/log.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { defaultLocation, defaultResourceGroup } from '../../src/domain/vaults/first-start.ts';
import type { Vault, VaultGrant } from '../../src/domain/vaults/vault.ts';
import type { NewVault } from '../../src/domain/vaults/vaults.ts';
import { buildCore, type Core } from '../../src/service/core.ts';
import { type Data, openData, type Tools } from '../../src/service/data.ts';
import { type ManualClock, manualClock } from './identity.ts';

export interface TestDomain {
  readonly data: Data;
  readonly core: Core;
  readonly clock: ManualClock;
  readonly tools: Tools;
  /** A vault of the server's own tenant and subscription. */
  vault(name: string, more?: Partial<NewVault>): Promise<Vault>;
  /** Closes the folder and opens it again, as a restart does; `between` runs while it is closed. */
  reopen(between?: () => Promise<void> | void): Promise<void>;
  close(): Promise<void>;
}

export interface TestDomainOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
}

export async function openTestDomain(options: TestDomainOptions = {}): Promise<TestDomain> {
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-domain-'));
  const config = loadConfig({ flags: { data: folder, ...options.settings }, environment: {} });
  const clock = manualClock();
  const tools: Tools = { config, clock, random: systemRandom, log: silentLog };
  const noNetwork = () => Promise.reject(new Error('this test has no network'));
  const open = async () => {
    const data = await openData(tools);
    return { data, core: await buildCore(tools, data, noNetwork) };
  };
  let opened: Awaited<ReturnType<typeof open>> | undefined = await open();
  const whileOpen = () => {
    if (opened === undefined) throw new Error('the folder is closed');
    return opened;
  };
  const shut = async () => {
    await opened?.data.close();
    opened = undefined;
  };
  return {
    get data() {
      return whileOpen().data;
    },
    get core() {
      return whileOpen().core;
    },
    clock,
    tools,
    vault: (name, more = {}) =>
      whileOpen().core.vaults.create({
        name,
        tenantId: whileOpen().core.tenant.id,
        subscriptionId: whileOpen().core.subscription.id,
        resourceGroup: defaultResourceGroup,
        location: defaultLocation,
        ...more,
      }),
    async reopen(between) {
      await shut();
      await between?.();
      opened = await open();
    },
    async close() {
      await shut();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Permission for one action on a vault's secrets, or on one of them. */
export function secretGrant(vault: Vault, action: Action, name?: string): VaultGrant {
  return systemGrant(vault, action, { kind: 'secrets', name });
}
