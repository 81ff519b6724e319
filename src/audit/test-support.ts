/** What the tests of this folder share: a clock that is moved by hand, a key, an anchor in memory, entries. */

import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { ChainMac } from './chain.ts';
import type { AnchorStore, AuditAnchor } from './log.ts';
import type { AuditEntry } from './record.ts';

export const testMac: ChainMac = (previous, group) =>
  createHmac('sha256', 'audit key of the tests').update(previous).update(group).digest();

export interface TestAnchors extends AnchorStore {
  stored: AuditAnchor | undefined;
  readonly saved: AuditAnchor[];
}

export function testAnchors(stored?: AuditAnchor): TestAnchors {
  const saved: AuditAnchor[] = [];
  return {
    stored,
    saved,
    load() {
      return Promise.resolve(this.stored);
    },
    save(anchor) {
      this.stored = anchor;
      saved.push(anchor);
      return Promise.resolve();
    },
  };
}

export interface TestClock extends Clock {
  advance(ms: number): void;
}

export function testClock(): TestClock {
  let now = Date.UTC(2026, 0, 2, 3, 4, 5);
  const timers = new Map<object, { at: number; run: () => void }>();
  return {
    now: () => now,
    monotonic: () => now,
    after(ms, run) {
      const timer = { cancel: () => void timers.delete(timer) };
      timers.set(timer, { at: now + ms, run });
      return timer;
    },
    advance(ms) {
      now += ms;
      for (const [timer, { at, run }] of [...timers]) {
        if (at > now) continue;
        timers.delete(timer);
        run();
      }
    },
  };
}

/** A log that keeps its messages, but for those of `debug`. */
export function testLog(): Log & { readonly messages: string[] } {
  const messages: string[] = [];
  const keep = (message: string) => void messages.push(message);
  return { messages, debug() {}, info: keep, warn: keep, error: keep };
}

/** A folder that goes away at the end of its `await using` block. */
export async function testFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'strongroom-audit-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export function testEntry(overrides: Partial<AuditEntry> = {}): AuditEntry {
  return {
    time: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    resourceId: '/subscriptions/s/resourceGroups/default/providers/Microsoft.KeyVault/vaults/dev',
    operationName: 'SecretGet',
    operationVersion: '7.4',
    status: 200,
    failure: undefined,
    durationMs: 3.4,
    callerIpAddress: '127.0.0.1',
    correlationId: '11111111-2222-3333-4444-555555555555',
    principal: {
      objectId: 'aaaaaaaa-0000-0000-0000-000000000001',
      tenantId: 'bbbbbbbb-0000-0000-0000-000000000002',
      appId: 'cccccccc-0000-0000-0000-000000000003',
      kind: 'user',
      issuer: 'https://sts.windows.net/x/',
      userName: 'ada@example.com',
      groups: [],
    },
    userAgent: 'azsdk-js/1.0',
    requestUri: 'https://dev.vault.azure.net/secrets/s1?api-version=7.4',
    id: 'https://dev.vault.azure.net/secrets/s1/0123456789abcdef0123456789abcdef',
    ...overrides,
  };
}
