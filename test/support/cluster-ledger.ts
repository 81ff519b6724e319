/**
 * Writers that note what they were told was written, through servers that die meanwhile, and the check that all of it
 * is there and that nothing is there by halves.
 */
import { expect } from 'vitest';
import { type Connection, connectVault, signIn, type Target } from './cluster-client.ts';
import { eventually } from './cluster-processes.ts';

const version = '?api-version=7.4';

interface Name {
  readonly name: string;
  /** Version ids and values, acknowledged, oldest first. */
  readonly versions: { readonly id: string; readonly value: string }[];
  /** Values that were sent and not answered for. */
  readonly doubtful: Set<string>;
  checked: number;
}

export interface Ledger {
  acknowledged(): number;
  /** Ids of all acknowledged versions. */
  ids(): string[];
  /** Writes with all writers until `until` is fulfilled; what is cut off or refused with 503 is in doubt. */
  write(server: Target, until: Promise<unknown>): Promise<void>;
  /** Holds the server to all that was acknowledged; versions that were checked before are only looked for. */
  check(server: Target): Promise<void>;
}

/** `random` decides on names and lengths. */
export function createLedger(writers: number, random: () => number): Ledger {
  const names: Name[][] = Array.from({ length: writers }, (_, writer) =>
    ['a', 'b'].map((suffix) => ({
      name: `w${writer}-${suffix}`,
      versions: [],
      doubtful: new Set<string>(),
      checked: 0,
    })),
  );
  let written = 0;
  const writeOne = async (vault: Connection, own: readonly Name[]) => {
    const name = own[Math.floor(random() * own.length)];
    if (name === undefined) return;
    written += 1;
    // Long enough to span several pages of the database and of the log.
    const value = `${name.name} ${written} ${'x'.repeat(Math.floor(random() * 9000))}`;
    name.doubtful.add(value);
    const path = `/secrets/${name.name}${version}`;
    const reply = await vault.send('PUT', path, { value }).catch(() => undefined);
    if (reply?.status === 200) {
      name.doubtful.delete(value);
      name.versions.push({ id: reply.json.id.split('/').at(-1), value });
      return;
    }
    if (reply !== undefined) expect([reply.status, reply.retryAfter]).toEqual([503, '1']);
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const all = () => names.flat();
  return {
    acknowledged: () => all().reduce((sum, { versions }) => sum + versions.length, 0),
    ids: () => all().flatMap(({ versions }) => versions.map(({ id }) => id)),
    async write(server, until) {
      const token = await eventually(() => signIn(server));
      let isOver = false;
      const over = until.finally(() => {
        isOver = true;
      });
      const writing = names.map(async (own) => {
        const vault = connectVault(server, token);
        while (!isOver) await writeOne(vault, own);
        vault.close();
      });
      await Promise.all([over, ...writing]);
    },
    async check(server) {
      const vault = connectVault(server, await eventually(() => signIn(server)));
      for (const name of all()) await checkName(vault, name);
      vault.close();
    },
  };
}

async function checkName(vault: Connection, name: Name): Promise<void> {
  const found = new Set(await versionsOf(vault, name.name));
  for (const { id } of name.versions) expect(found.delete(id), `${name.name}/${id} is lost`).toBe(true);
  for (const { id, value } of name.versions.slice(name.checked))
    expect(await readVersion(vault, name, id)).toBe(value);
  name.checked = name.versions.length;
  // What else is there was sent, and is there as it was sent.
  for (const id of found) {
    const value = await readVersion(vault, name, id);
    expect(name.doubtful.delete(value), `${name.name}/${id} was never sent`).toBe(true);
    name.versions.push({ id, value });
  }
  const current = await vault.send('GET', `/secrets/${name.name}${version}`);
  expect(current.status).toBe(name.versions.length === 0 ? 404 : 200);
}

async function readVersion(vault: Connection, { name }: Name, id: string): Promise<string> {
  const { status, json } = await vault.send('GET', `/secrets/${name}/${id}${version}`);
  expect(status, `${name}/${id}`).toBe(200);
  return json.value;
}

/** Ids of all versions of a secret, page by page; none if there is no such secret. */
export async function versionsOf(vault: Connection, name: string): Promise<string[]> {
  const ids: string[] = [];
  let path = `/secrets/${name}/versions${version}&maxresults=25`;
  for (;;) {
    const { status, json } = await vault.send('GET', path);
    if (status === 404) return [];
    expect(status).toBe(200);
    ids.push(...json.value.map((item: { id: string }) => item.id.split('/').at(-1)));
    if (json.nextLink === null) return ids;
    const { pathname, search } = new URL(json.nextLink);
    path = `${pathname}${search}`;
  }
}
