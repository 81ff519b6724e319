/** What a store of objects must do with what an object has as a whole, and with the time at which a job is to look at it. */
import { describe, expect, it } from 'vitest';
import type {
  DuePlace,
  ObjectHead,
  ObjectKey,
  ObjectWriter,
} from '../../src/domain/versioned/object-store.ts';
import { liveHead, metadataOf, type OpenObjectStores } from './object-stores.ts';
import { guid, objectKey, sealedVersion } from './rows.ts';

/** Text that a database could change on its way in or out. */
const detail = '{"policy":{"a":1,"a ":" 2 "},"z":"Zoë \\u0000 \u{1F511}","b":[1.10]}';
const farthest = 253_402_300_799;

export function objectDueContract(open: () => Promise<OpenObjectStores>): void {
  const dueIn = async (
    { reader }: OpenObjectStores,
    now: number,
    of: { vault?: number; kind?: ObjectKey['kind']; limit?: number } = {},
  ) => {
    const { vault = 1, kind = 'keys', limit = 100 } = of;
    const rows = await reader.listDue({ vaultId: guid(vault), kind, now }, { after: undefined, limit });
    return rows.map(({ head }) => head.name);
  };
  const key = (name: string, vault = 1, kind: ObjectKey['kind'] = 'keys') => objectKey(vault, name, kind);
  const first = sealedVersion(1);
  const make = ({ put }: OpenObjectStores, name: string, more: Partial<ObjectHead>) =>
    put(key(name), liveHead(name, first, more), first);

  describe('data and due time of a whole object', () => {
    it('gives them back as they were written, in every way to read a head', async () => {
      const stores = await open();
      const { reader, writer } = stores;
      for (const [name, dueAt] of [
        ['A', 0],
        ['B', farthest],
        ['C', undefined],
      ] as const) {
        const head = liveHead(name, first, { detail, dueAt });
        await make(stores, name, { detail, dueAt });
        expect(await reader.head(key(name))).toEqual(head);
        expect((await reader.sealedVersion(key(name), undefined))?.head).toEqual(head);
        expect((await reader.sealedVersion(key(name), first.version))?.head).toEqual(head);
        await writer.change(key(name), { version: undefined }, (state) => {
          expect(state).toEqual({ head, version: metadataOf(first) });
          return { head: 'same', result: undefined };
        });
      }
      const heads = await reader.listHeads(
        { vaultId: guid(1), kind: 'keys', deleted: false },
        {
          after: undefined,
          limit: 9,
        },
      );
      expect(heads.map(({ head }) => [head.detail, head.dueAt])).toEqual([
        [detail, 0],
        [detail, farthest],
        [detail, undefined],
      ]);
    });

    it('writes, changes and takes away each without the other, and the versions stay as they are', async () => {
      const stores = await open();
      const { reader, put } = stores;
      const version = sealedVersion(1, { detail: 'of the version', tags: { a: 'b' } });
      await put(key('A'), liveHead('A', version), version);
      for (const more of [
        { detail },
        { detail: '{}', dueAt: 7 },
        { detail: '{}', dueAt: 8 },
        { dueAt: 8 },
        { detail: '', dueAt: undefined },
        {},
      ]) {
        const head = liveHead('A', version, more);
        await put(key('A'), head);
        expect(await reader.head(key('A'))).toEqual(head);
        expect((await reader.sealedVersion(key('A'), undefined))?.version).toMatchObject(metadataOf(version));
      }
    });

    it('a change that leaves the head leaves them', async () => {
      const stores = await open();
      const { reader, writer, put } = stores;
      await make(stores, 'A', { detail, dueAt: 5 });
      const update = { ...metadataOf(first), enabled: false };
      await writer.change(key('A'), { version: undefined }, () => ({ head: 'same', update, result: null }));
      await put(key('A'), 'same', sealedVersion(2));
      expect(await reader.head(key('A'))).toEqual(liveHead('A', first, { detail, dueAt: 5 }));
      expect(await dueIn(stores, 5)).toEqual(['A']);
    });

    it('go with the object, and a new one of that name has none', async () => {
      const stores = await open();
      await make(stores, 'A', { detail, dueAt: 5 });
      await stores.put(key('A'), undefined);
      expect(await dueIn(stores, 5)).toEqual([]);
      await make(stores, 'A', {});
      expect(await stores.reader.head(key('A'))).toEqual(liveHead('A', first));
      expect(await dueIn(stores, farthest)).toEqual([]);
    });

    it.each([
      ['detail', { detail: 'theirs' }],
      ['due time', { dueAt: 9 }],
    ])('decides again when another writer has changed the %s alone', async (_what, theirs) => {
      const stores = await open();
      const { reader, other, writerBehind } = stores;
      await make(stores, 'A', {});
      let overtaken = 0;
      const slow = writerBehind(async () => {
        overtaken += 1;
        if (overtaken > 1) return;
        const head = liveHead('A', first, theirs);
        await other.change(key('A'), { version: undefined }, () => ({ head, result: null }));
      });
      const seen: (ObjectHead | undefined)[] = [];
      await slow.change(key('A'), { version: undefined }, ({ head }) => {
        seen.push(head);
        if (head === undefined) throw new Error('the object is gone');
        return { head: { ...head, detail: `${head.detail} and mine` }, result: null };
      });
      expect(seen).toEqual([liveHead('A', first), liveHead('A', first, theirs)]);
      expect(await reader.head(key('A'))).toEqual(
        liveHead('A', first, { ...theirs, detail: `${'detail' in theirs ? 'theirs' : undefined} and mine` }),
      );
    });

    it('loses nothing of what two writers do to the data of one object at once', async () => {
      const stores = await open();
      const { reader, writer, other } = stores;
      await make(stores, 'A', { detail: '0', dueAt: 0 });
      const rounds = 10;
      const count = async (by: ObjectWriter) => {
        for (let round = 0; round < rounds; round += 1) {
          await by.change(key('A'), { version: undefined }, ({ head }) => {
            if (head === undefined) throw new Error('the object is gone');
            const next = Number(head.detail) + 1;
            return { head: { ...head, detail: String(next), dueAt: next }, result: null };
          });
        }
      };
      await Promise.all([count(writer), count(other)]);
      const total = 2 * rounds;
      expect(await reader.head(key('A'))).toMatchObject({ detail: String(total), dueAt: total });
    });
  });

  describe('what is due', () => {
    it('is what has its time now or before, the longest due first, at most so many', async () => {
      const stores = await open();
      for (const [name, dueAt] of [
        ['C', 30],
        ['A', 20],
        ['E', 41],
        ['D', 40],
        ['B', 0],
        ['NEVER', undefined],
      ] as const) {
        await make(stores, name, { dueAt });
      }
      expect(await dueIn(stores, 40)).toEqual(['B', 'A', 'C', 'D']);
      expect(await dueIn(stores, 39)).toEqual(['B', 'A', 'C']);
      expect(await dueIn(stores, 40, { limit: 2 })).toEqual(['B', 'A']);
      expect(await dueIn(stores, -1)).toEqual([]);
      expect(await dueIn(stores, farthest)).toEqual(['B', 'A', 'C', 'D', 'E']);
    });

    it('is read by pages, of one time in the order of the names, without a gap', async () => {
      const stores = await open();
      const due: [string, number][] = [
        ['A', 5],
        ['C', 0],
        ['B', 5],
        ['B-', 5],
        ['B1', 5],
        ['Z', 4],
        ['0', 6],
        ['D', 0],
      ];
      for (const [name, dueAt] of due) await make(stores, name, { dueAt });
      const of = { vaultId: guid(1), kind: 'keys', now: 6 } as const;
      for (const limit of [1, 2, 3, 8]) {
        const listed: string[] = [];
        let after: DuePlace | undefined;
        do {
          const page = await stores.reader.listDue(of, { after, limit });
          const last = page.at(-1)?.head;
          after = last?.dueAt === undefined ? undefined : { dueAt: last.dueAt, nameKey: last.name };
          listed.push(...page.map(({ head }) => head.name));
        } while (after !== undefined);
        expect(listed).toEqual(['C', 'D', 'Z', 'A', 'B', 'B-', 'B1', '0']);
      }
    });

    it('comes with the whole head and the current version', async () => {
      const stores = await open();
      const current = sealedVersion(2, { expires: 77, tags: { a: 'b' }, detail: 'of the version' });
      const head = liveHead('A', current, { detail, dueAt: 3 });
      await stores.put(key('A'), head, sealedVersion(1), current, sealedVersion(3));
      const of = { vaultId: guid(1), kind: 'keys', now: 3 } as const;
      const rows = await stores.reader.listDue(of, { after: undefined, limit: 10 });
      expect(rows).toEqual([{ head, version: metadataOf(current) }]);
    });

    it('is kept apart by vault and kind', async () => {
      const stores = await open();
      for (const [name, vault, kind] of [
        ['here', 1, 'keys'],
        ['there', 2, 'keys'],
        ['secret', 1, 'secrets'],
        ['certificate', 1, 'certificates'],
      ] as const) {
        await stores.put(key('NAME', vault, kind), liveHead(name, first, { dueAt: 1 }), first);
      }
      expect(await dueIn(stores, 1)).toEqual(['here']);
      expect(await dueIn(stores, 1, { vault: 2 })).toEqual(['there']);
      expect(await dueIn(stores, 1, { kind: 'secrets' })).toEqual(['secret']);
      expect(await dueIn(stores, 1, { kind: 'certificates' })).toEqual(['certificate']);
      expect(await dueIn(stores, 1, { vault: 2, kind: 'secrets' })).toEqual([]);
    });

    it('names the vaults that have any of the kind, each once', async () => {
      const stores = await open();
      for (const [name, vault, kind, dueAt] of [
        ['A', 1, 'certificates', 5],
        ['B', 1, 'certificates', 7],
        ['A', 2, 'certificates', 7],
        ['C', 2, 'certificates', undefined],
        ['A', 1, 'pendingcertificates', 6],
      ] as const) {
        await stores.put(key(name, vault, kind), liveHead(name, first, { dueAt }), first);
      }
      const vaults = async (kind: ObjectKey['kind'], now: number) =>
        [...(await stores.reader.vaultsWithDue(kind, now))].sort();
      expect(await vaults('certificates', 4)).toEqual([]);
      expect(await vaults('certificates', 5)).toEqual([guid(1)]);
      expect(await vaults('certificates', farthest)).toEqual([guid(1), guid(2)]);
      expect(await vaults('pendingcertificates', 5)).toEqual([]);
      expect(await vaults('pendingcertificates', 6)).toEqual([guid(1)]);
      expect(await vaults('keys', farthest)).toEqual([]);
      const gone = { deletedAt: 5, purgeAt: 9, dueAt: 7 };
      await stores.put(key('A', 2, 'certificates'), liveHead('A', first, gone));
      expect(await vaults('certificates', farthest)).toEqual([guid(1)]);
    });

    it('is nothing deleted, and again what was recovered', async () => {
      const stores = await open();
      await make(stores, 'A', { dueAt: 2 });
      const gone = { deletedAt: 5, purgeAt: 9 };
      // The store leaves it out whatever the head says of its time.
      await stores.put(key('A'), liveHead('A', first, { ...gone, dueAt: 2 }));
      expect(await dueIn(stores, 9)).toEqual([]);
      await stores.put(key('A'), liveHead('A', first, gone));
      expect(await dueIn(stores, 9)).toEqual([]);
      await stores.put(key('A'), liveHead('A', first, { dueAt: 3 }));
      expect(await dueIn(stores, 2)).toEqual([]);
      expect(await dueIn(stores, 3)).toEqual(['A']);
    });

    it('follows what any writer makes of the time', async () => {
      const stores = await open();
      await make(stores, 'A', { dueAt: 2 });
      await make(stores, 'B', { dueAt: 3 });
      const set = (by: ObjectWriter, name: string, dueAt: number | undefined) =>
        by.change(key(name), { version: undefined }, () => ({
          head: liveHead(name, first, { dueAt }),
          result: null,
        }));
      await set(stores.other, 'A', 4);
      expect(await dueIn(stores, 3)).toEqual(['B']);
      expect(await dueIn(stores, 4)).toEqual(['B', 'A']);
      await set(stores.writer, 'B', undefined);
      expect(await dueIn(stores, 4)).toEqual(['A']);
      await set(stores.other, 'B', 1);
      expect(await dueIn(stores, 4)).toEqual(['B', 'A']);
    });
  });
}
