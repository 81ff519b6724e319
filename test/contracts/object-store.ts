/** What every store of objects with versions must do; run on each database. */
import { describe, expect, it } from 'vitest';
import {
  type ObjectKey,
  type ObjectWriter,
  type SealedVersion,
  StaleVaultKey,
} from '../../src/domain/versioned/object-store.ts';
import { objectDueContract } from './object-due.ts';
import { all, liveHead, metadataOf, type ObjectStores, openObjectStores } from './object-stores.ts';
import { objectTogetherContract } from './object-together.ts';
import { guid, objectKey, sealedVersion, versionId } from './rows.ts';

/** Defines the suite; `makeStores` gives stores of one database each time, empty but for the root key of `rows.ts`. */
export function objectStoreContract(makeStores: () => Promise<ObjectStores>): void {
  const open = () => openObjectStores(makeStores);
  objectDueContract(open);
  objectTogetherContract(open);

  describe('object store', () => {
    it('gives back every column as it was written', async () => {
      const { reader, create } = await open();
      const key = objectKey(1, 'NAME');
      const plain = sealedVersion(1);
      const full = sealedVersion(2, {
        enabled: false,
        notBefore: 0,
        expires: 253_402_300_799,
        managed: true,
        tags: { 'Zoë "quoted"': '\u0000\u{1F511}', constructor: 'x', '': '' },
        detail: '{"contentType":"ü"}',
        envelope: { keyVersion: 1, dataKey: Buffer.of(0, 255, 1), value: Buffer.alloc(0) },
      });
      await create(key, 'Name', plain, full);
      const head = liveHead('Name', full);
      expect(await reader.head(key)).toEqual(head);
      const current = await reader.sealedVersion(key, undefined);
      expect(current).toMatchObject({ head, version: metadataOf(full) });
      expect(Buffer.from(current?.version.envelope.dataKey ?? []).equals(full.envelope.dataKey)).toBe(true);
      expect(current?.version.envelope.value).toHaveLength(0);
      expect((await reader.sealedVersion(key, plain.version))?.version.tags).toBeUndefined();
      const versions = await reader.listVersions(key, all);
      expect(versions).toEqual([metadataOf(plain), metadataOf(full)]);
      const sealed = await reader.listSealedVersions(key, all);
      expect(sealed.map((row) => Buffer.from(row.envelope.value).toString())).toEqual(['value 1', '']);
    });

    it('answers undefined or nothing for what is not there', async () => {
      const { reader, create } = await open();
      await create(objectKey(1, 'NAME'), 'Name', sealedVersion(1));
      const strangers = [
        objectKey(1, 'OTHER'),
        objectKey(2, 'NAME'),
        objectKey(1, 'NAME', 'keys'),
        objectKey(1, 'Name'),
      ];
      for (const key of strangers) {
        expect(await reader.head(key)).toBeUndefined();
        expect(await reader.sealedVersion(key, undefined)).toBeUndefined();
        expect(await reader.sealedVersion(key, versionId(1))).toBeUndefined();
        expect(await reader.listVersions(key, all)).toEqual([]);
        expect(await reader.listSealedVersions(key, all)).toEqual([]);
      }
      expect(await reader.sealedVersion(objectKey(1, 'NAME'), versionId(2))).toBeUndefined();
    });

    it('finds a version without regard to the case of its id', async () => {
      const { reader, create } = await open();
      const key = objectKey(1, 'NAME');
      await create(key, 'Name', sealedVersion(0xabc));
      const asked = versionId(0xabc).toUpperCase();
      expect((await reader.sealedVersion(key, asked))?.version.version).toBe(versionId(0xabc));
    });

    it('keeps objects of one name apart by vault and kind', async () => {
      const { reader, create, put } = await open();
      const keys = [objectKey(1, 'NAME'), objectKey(2, 'NAME'), objectKey(1, 'NAME', 'keys')];
      for (const [n, key] of keys.entries()) await create(key, `name-${n}`, sealedVersion(1));
      await put(objectKey(1, 'NAME'), undefined);
      expect(await reader.head(objectKey(1, 'NAME'))).toBeUndefined();
      expect(await reader.listVersions(objectKey(1, 'NAME'), all)).toEqual([]);
      expect((await reader.head(objectKey(2, 'NAME')))?.name).toBe('name-1');
      expect((await reader.head(objectKey(1, 'NAME', 'keys')))?.name).toBe('name-2');
    });

    it('lists live or deleted heads with their current versions, in the order of the names, by pages', async () => {
      const { reader, create, put } = await open();
      const names = ['B', 'A-1', 'A1', 'A', 'A-', '0', 'Z', 'AB'];
      for (const [n, name] of names.entries()) {
        await create(objectKey(1, name), name.toLowerCase(), sealedVersion(50 - n), sealedVersion(n));
      }
      await create(objectKey(2, 'C'), 'c', sealedVersion(1));
      await create(objectKey(1, 'C', 'keys'), 'c', sealedVersion(1));
      const gone = { ...liveHead('b', sealedVersion(0)), deletedAt: 7, purgeAt: 8 };
      await put(objectKey(1, 'B'), gone);
      const of = { vaultId: guid(1), kind: 'secrets', deleted: false } as const;
      const rows = await reader.listHeads(of, all);
      const live = names.filter((name) => name !== 'B').sort();
      expect(rows.map(({ head }) => head.name.toUpperCase())).toEqual(live);
      for (const { head, version } of rows) expect(version.version).toBe(head.currentVersion);
      const page = await reader.listHeads(of, { after: live[1], limit: 3 });
      expect(page.map(({ head }) => head.name.toUpperCase())).toEqual(live.slice(2, 5));
      const deleted = await reader.listHeads({ ...of, deleted: true }, all);
      expect(deleted.map(({ head }) => head)).toEqual([gone]);
    });

    it('lists versions in the order of their ids, by pages, without a gap', async () => {
      const { reader, create } = await open();
      const key = objectKey(1, 'NAME');
      const numbers = [9, 1, 16, 4, 255];
      await create(key, 'name', ...numbers.map((n) => sealedVersion(n)));
      const ids = numbers.map(versionId).sort();
      expect(
        (await reader.listVersions(key, { after: undefined, limit: 2 })).map((row) => row.version),
      ).toEqual(ids.slice(0, 2));
      expect((await reader.listVersions(key, { after: ids[1], limit: 9 })).map((row) => row.version)).toEqual(
        ids.slice(2),
      );
      expect(
        (await reader.listSealedVersions(key, { after: ids[3], limit: 9 })).map((row) => row.version),
      ).toEqual([ids[4]]);
    });

    it('shows a decision the state with the asked or the current version, and answers its result', async () => {
      const { writer, create } = await open();
      const key = objectKey(1, 'NAME');
      const [one, two] = [sealedVersion(1), sealedVersion(2)];
      await create(key, 'name', one, two);
      const seen: unknown[] = [];
      for (const version of [undefined, one.version, versionId(3)]) {
        const result = await writer.change(key, { version }, (state) => {
          seen.push(state.version);
          expect(state.head?.currentVersion).toBe(two.version);
          return { head: 'same', result: { answer: version } };
        });
        expect(result).toEqual({ answer: version });
      }
      expect(seen).toEqual([metadataOf(two), metadataOf(one), undefined]);
      await writer.change(objectKey(1, 'NOTHING'), { version: undefined }, (state) => {
        expect(state).toEqual({ head: undefined, version: undefined });
        return { head: 'same', result: undefined };
      });
    });

    it('writes nothing when a decision throws', async () => {
      const { reader, writer, create } = await open();
      const key = objectKey(1, 'NAME');
      await create(key, 'name', sealedVersion(1));
      const refusal = new Error('refused');
      const refused = writer.change(key, { version: undefined }, () => {
        throw refusal;
      });
      await expect(refused).rejects.toBe(refusal);
      expect(await reader.listVersions(key, all)).toHaveLength(1);
    });

    it('updates attributes, tags and detail of one version, never its value', async () => {
      const { reader, writer, create } = await open();
      const key = objectKey(1, 'NAME');
      const [one, two] = [sealedVersion(1, { tags: { a: 'b' }, expires: 5 }), sealedVersion(2)];
      await create(key, 'name', one, two);
      const update = {
        ...metadataOf(one),
        enabled: false,
        expires: undefined,
        tags: undefined,
        detail: 'd',
        updated: 9,
      };
      await writer.change(key, { version: one.version }, () => ({ head: 'same', update, result: undefined }));
      const found = await reader.sealedVersion(key, one.version);
      expect(found?.version).toMatchObject({ enabled: false, detail: 'd', updated: 9 });
      expect(found?.version.tags).toBeUndefined();
      expect(found?.version.expires).toBeUndefined();
      expect(Buffer.from(found?.version.envelope.value ?? []).toString()).toBe('value 1');
      expect((await reader.sealedVersion(key, undefined))?.version).toMatchObject(metadataOf(two));
    });

    it('keeps the name as it was first written', async () => {
      const { reader, put, create } = await open();
      const key = objectKey(1, 'NAME');
      await create(key, 'nAmE', sealedVersion(1));
      await put(key, liveHead('NAME', sealedVersion(2)), sealedVersion(2));
      expect(await reader.head(key)).toEqual(liveHead('nAmE', sealedVersion(2)));
    });

    it('refuses a version id that is taken, and writes nothing of that change', async () => {
      const { reader, put, create } = await open();
      const key = objectKey(1, 'NAME');
      await create(key, 'name', sealedVersion(1));
      const again = put(key, liveHead('name', sealedVersion(2)), sealedVersion(2), sealedVersion(1));
      await expect(again).rejects.toThrow();
      expect((await reader.head(key))?.currentVersion).toBe(versionId(1));
      expect(await reader.listVersions(key, all)).toHaveLength(1);
    });

    it('refuses a version under a vault key that is not there, and writes nothing of that change', async () => {
      const { reader, put, create } = await open();
      const key = objectKey(1, 'NAME');
      await create(key, 'name', sealedVersion(1));
      const envelope = { ...sealedVersion(3).envelope, keyVersion: 2 };
      const stale = put(
        key,
        liveHead('name', sealedVersion(3)),
        sealedVersion(2),
        sealedVersion(3, { envelope }),
      );
      await expect(stale).rejects.toThrow(StaleVaultKey);
      expect((await reader.head(key))?.currentVersion).toBe(versionId(1));
      expect(await reader.listVersions(key, all)).toHaveLength(1);
      await expect(
        put(objectKey(3, 'NAME'), liveHead('name', sealedVersion(1)), sealedVersion(1)),
      ).rejects.toThrow(StaleVaultKey);
    });

    it('decides changes of one object one after the other', async () => {
      const { reader, writer } = await open();
      const key = objectKey(1, 'NAME');
      const adders = Array.from({ length: 40 }, (_, n) =>
        writer.change(key, { version: undefined }, ({ head }) => {
          if (head !== undefined) throw new Error('taken');
          return { head: liveHead(`by ${n}`, sealedVersion(n)), add: [sealedVersion(n)], result: n };
        }),
      );
      const outcomes = await Promise.allSettled(adders);
      const won = outcomes.filter(({ status }) => status === 'fulfilled');
      expect(won).toHaveLength(1);
      expect(await reader.listVersions(key, all)).toHaveLength(1);
    });

    it('decides again on what another writer has made of it meanwhile', async () => {
      const { reader, other, writerBehind } = await open();
      const key = objectKey(1, 'NAME');
      const theirs = sealedVersion(7, { tags: { by: 'other', ['__proto__']: 'x', '1': 'y', '0': 'z' } });
      const add = (version: SealedVersion) => ({
        head: liveHead('name', version),
        add: [version],
        result: 1,
      });
      let overtaken = 0;
      const slow = writerBehind(async () => {
        overtaken += 1;
        if (overtaken === 1) await other.change(key, { version: undefined }, () => add(theirs));
      });
      const seen: unknown[] = [];
      const result = await slow.change(key, { version: undefined }, (state) => {
        seen.push(state);
        return { ...add(sealedVersion(8)), result: seen.length };
      });
      expect(result).toBe(2);
      expect(seen).toEqual([
        { head: undefined, version: undefined },
        { head: liveHead('name', theirs), version: metadataOf(theirs) },
      ]);
      expect(await reader.listVersions(key, all)).toHaveLength(2);
      expect((await reader.head(key))?.currentVersion).toBe(versionId(8));
    });

    it('writes nothing of a decision that does not hold any more, and answers what the next one throws', async () => {
      const { reader, other, writerBehind } = await open();
      const key = objectKey(1, 'NAME');
      let overtaken = 0;
      const slow = writerBehind(async () => {
        overtaken += 1;
        const mine = sealedVersion(overtaken);
        const change = { head: liveHead(`theirs ${overtaken}`, mine), add: [mine], result: undefined };
        await other.change(key, { version: undefined }, () => change);
      });
      const refusal = new Error('taken');
      const late = slow.change(key, { version: undefined }, ({ head }) => {
        if (head !== undefined) throw refusal;
        return { head: liveHead('mine', sealedVersion(9)), add: [sealedVersion(9)], result: undefined };
      });
      await expect(late).rejects.toBe(refusal);
      expect(await reader.head(key)).toEqual(liveHead('theirs 1', sealedVersion(1)));
      expect(await reader.listVersions(key, all)).toHaveLength(1);
    });

    it('loses nothing of what two writers do to one object at once', async () => {
      const { reader, writer, other, create } = await open();
      const key = objectKey(1, 'NAME');
      const first = sealedVersion(0, { detail: '0' });
      await create(key, 'name', first);
      const rounds = 15;
      const count = (by: ObjectWriter) =>
        by.change(key, { version: undefined }, ({ version }) => {
          if (version === undefined) throw new Error('the version is gone');
          const next = Number(version.detail) + 1;
          return { head: 'same', update: { ...version, detail: String(next) }, result: next };
        });
      const counting = [writer, other].map(async (by) => {
        const counted: number[] = [];
        for (let round = 0; round < rounds; round += 1) counted.push(await count(by));
        return counted;
      });
      const counted = (await Promise.all(counting)).flat();
      expect(counted.sort((a, b) => a - b)).toEqual(Array.from({ length: 2 * rounds }, (_, n) => n + 1));
      expect((await reader.listVersions(key, all))[0]?.detail).toBe(String(2 * rounds));
    });

    it('lets one of two writers make an object, or remove it', async () => {
      const { reader, writer, other } = await open();
      for (let round = 0; round < 5; round += 1) {
        const key = objectKey(1, `NAME-${round}`);
        const make = (by: ObjectWriter, n: number) =>
          by.change(key, { version: undefined }, ({ head }) => {
            if (head !== undefined) throw new Error('taken');
            return { head: liveHead('name', sealedVersion(n)), add: [sealedVersion(n)], result: undefined };
          });
        const remove = (by: ObjectWriter) =>
          by.change(key, { version: undefined }, ({ head }) => {
            if (head === undefined) throw new Error('gone');
            return { head: undefined, result: undefined };
          });
        const made = await Promise.allSettled([make(writer, 1), make(other, 2)]);
        expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(await reader.listVersions(key, all)).toHaveLength(1);
        const removed = await Promise.allSettled([remove(other), remove(writer)]);
        expect(removed.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(await reader.listVersions(key, all)).toEqual([]);
      }
    });

    it('orders names and versions by code unit, whatever the language of the machine', async () => {
      const { reader, create } = await open();
      const names = ['a', 'B', 'b', 'A', 'Z', '-', '--', 'A-', 'A-B', 'AB', 'A0', 'A9', 'A10', '0', '9', '_'];
      names.push('ä', 'Ä', 'É', 'z', 'ß', 'ŝ', 'Ω', 'я', '中', ' ', '~', "'", 'A ', 'A B');
      for (const name of names) await create(objectKey(1, name), name, sealedVersion(1));
      const of = { vaultId: guid(1), kind: 'secrets', deleted: false } as const;
      const listed: string[] = [];
      for (let after: string | undefined; ; after = listed.at(-1)) {
        const page = await reader.listHeads(of, { after, limit: 4 });
        listed.push(...page.map(({ head }) => head.name));
        if (page.length < 4) break;
      }
      expect(listed).toEqual([...names].sort());
    });

    it('finds what is due for purge in one vault, of every kind, oldest first, at most so many', async () => {
      const { reader, create, put } = await open();
      const due: [ObjectKey, number][] = [
        [objectKey(1, 'C'), 300],
        [objectKey(1, 'A', 'keys'), 100],
        [objectKey(1, 'B', 'certificates'), 200],
        [objectKey(1, 'LATER'), 301],
        [objectKey(2, 'A'), 100],
      ];
      for (const [key, purgeAt] of due) {
        await create(key, 'name', sealedVersion(1));
        await put(key, { ...liveHead('name', sealedVersion(1)), deletedAt: 1, purgeAt });
      }
      await create(objectKey(1, 'LIVE'), 'name', sealedVersion(1));
      expect(await reader.dueForPurge(guid(1), 300, 10)).toEqual([due[1]?.[0], due[2]?.[0], due[0]?.[0]]);
      expect(await reader.dueForPurge(guid(1), 300, 2)).toHaveLength(2);
      expect(await reader.dueForPurge(guid(1), 99, 10)).toEqual([]);
      await put(objectKey(1, 'C'), liveHead('name', sealedVersion(1)));
      expect(await reader.dueForPurge(guid(1), 300, 10)).toHaveLength(2);
    });
  });
}
