/** What a store of objects must do with one write of several objects, and with versions that take others' places. */
import { describe, expect, it } from 'vitest';
import {
  type ObjectChange,
  type ObjectKey,
  type ObjectState,
  type ObjectWriter,
  type SealedVersion,
  StaleVaultKey,
} from '../../src/domain/versioned/object-store.ts';
import { all, liveHead, metadataOf, type OpenObjectStores } from './object-stores.ts';
import { objectKey, sealedVersion, versionId } from './rows.ts';

const nothing: ObjectState = { head: undefined, version: undefined };
const same: ObjectChange<undefined> = { head: 'same', result: undefined };
const gone: ObjectChange<undefined> = { head: undefined, result: undefined };
const kinds = ['certificates', 'keys', 'secrets'] as const;
const family = (name = 'NAME', vault = 1): ObjectKey[] => kinds.map((kind) => objectKey(vault, name, kind));
const asked = (name?: string, version?: string) => family(name).map((key) => ({ key, version }));

/** Makes an object, or its next current version. */
function add(name: string, version: SealedVersion): ObjectChange<undefined> {
  return { head: liveHead(name, version), add: [version], result: undefined };
}

function sealedText(version: { envelope: { value: Uint8Array } } | undefined): string | undefined {
  return version && Buffer.from(version.envelope.value).toString();
}

export function objectTogetherContract(open: () => Promise<OpenObjectStores>): void {
  const heads = ({ reader }: OpenObjectStores, name?: string) =>
    Promise.all(family(name).map((key) => reader.head(key)));

  describe('several objects in one write', () => {
    it('shows the state of each in the order asked, with the version asked of each', async () => {
      const stores = await open();
      const [certificate, key, secret] = family();
      if (certificate === undefined || key === undefined || secret === undefined) throw new Error('three');
      const [one, two] = [sealedVersion(1, { tags: { a: 'b' } }), sealedVersion(2)];
      await stores.create(certificate, 'name', one, two);
      await stores.create(secret, 'name', one, two);
      const ask = [
        { key: certificate, version: one.version.toUpperCase() },
        { key },
        { key: secret, version: versionId(9) },
      ];
      const result = await stores.writer.changeTogether(ask, (states) => {
        expect(states).toEqual([
          { head: liveHead('name', two), version: metadataOf(one) },
          nothing,
          { head: liveHead('name', two), version: undefined },
        ]);
        return { changes: [same, same, same], result: { answer: 1 } };
      });
      expect(result).toEqual({ answer: 1 });
    });

    it('makes, changes, leaves and removes different ones at once', async () => {
      const stores = await open();
      const [certificate, key, secret] = family();
      if (certificate === undefined || key === undefined || secret === undefined) throw new Error('three');
      const first = sealedVersion(1);
      await stores.create(key, 'name', first);
      await stores.create(secret, 'name', first);
      const pending = objectKey(1, 'NAME', 'pendingcertificates');
      await stores.create(pending, 'name', first);
      const next = sealedVersion(2);
      const update = { ...metadataOf(first), enabled: false };
      await stores.writer.changeTogether(
        [{ key: certificate }, { key }, { key: pending }, { key: secret }],
        () => ({
          changes: [add('Name', next), { head: 'same', update, result: undefined }, gone, same],
          result: undefined,
        }),
      );
      expect(await stores.reader.head(certificate)).toEqual(liveHead('Name', next));
      expect((await stores.reader.sealedVersion(key, undefined))?.version.enabled).toBe(false);
      expect(await stores.reader.head(pending)).toBeUndefined();
      expect(await stores.reader.listVersions(pending, all)).toEqual([]);
      expect(await stores.reader.listVersions(secret, all)).toEqual([metadataOf(first)]);
    });

    it('writes nothing when the decision throws, and what it throws comes out', async () => {
      const stores = await open();
      const refusal = new Error('refused');
      const refused = stores.writer.changeTogether(asked(), () => {
        throw refusal;
      });
      await expect(refused).rejects.toBe(refusal);
      expect(await heads(stores)).toEqual([undefined, undefined, undefined]);
    });

    it('refuses a decision that leaves one of them out', async () => {
      const stores = await open();
      const short = stores.writer.changeTogether(asked(), () => ({
        changes: [add('name', sealedVersion(1)), same],
        result: undefined,
      }));
      await expect(short).rejects.toThrow(TypeError);
      expect(await heads(stores)).toEqual([undefined, undefined, undefined]);
    });

    it.each([0, 1, 2])(
      'writes none of them where the version of the %s. is under no vault key',
      async (bad) => {
        const stores = await open();
        const fine = sealedVersion(1);
        const stale = sealedVersion(1, { envelope: { ...fine.envelope, keyVersion: 2 } });
        const write = stores.writer.changeTogether(asked(), () => ({
          changes: kinds.map((_kind, index) => add('name', index === bad ? stale : fine)),
          result: undefined,
        }));
        await expect(write).rejects.toThrow(StaleVaultKey);
        expect(await heads(stores)).toEqual([undefined, undefined, undefined]);
        for (const key of family()) expect(await stores.reader.listVersions(key, all)).toEqual([]);
        // Nothing is left locked either.
        await stores.other.changeTogether(asked(), () => ({
          changes: kinds.map(() => add('name', fine)),
          result: undefined,
        }));
        expect(await heads(stores)).toEqual(kinds.map(() => liveHead('name', fine)));
      },
    );

    it('writes none of them where the version id of the last is taken', async () => {
      const stores = await open();
      const [, , secret] = family();
      if (secret === undefined) throw new Error('three');
      await stores.create(secret, 'name', sealedVersion(1));
      const write = stores.writer.changeTogether(asked(), () => ({
        changes: kinds.map(() => add('name', sealedVersion(1))),
        result: undefined,
      }));
      await expect(write).rejects.toThrow();
      expect((await heads(stores)).map((head) => head?.name)).toEqual([undefined, undefined, 'name']);
    });

    it.each([0, 1, 2])('decides all anew when another writer has made the %s. of them', async (which) => {
      const stores = await open();
      const theirs = sealedVersion(7);
      const key = family()[which];
      if (key === undefined) throw new Error('three');
      let overtaken = 0;
      const slow = stores.writerBehind(async () => {
        overtaken += 1;
        if (overtaken === 1)
          await stores.other.change(key, { version: undefined }, () => add('theirs', theirs));
      });
      const seen: string[] = [];
      const result = await slow.changeTogether(asked(), (states) => {
        seen.push(states.map(({ head }) => head?.name ?? '-').join());
        return { changes: kinds.map(() => add('mine', sealedVersion(8))), result: seen.length };
      });
      expect(result).toBe(2);
      const expected = kinds.map((_kind, index) => (index === which ? 'theirs' : '-')).join();
      expect(seen).toEqual(['-,-,-', expected]);
      for (const [index, each] of family().entries()) {
        expect((await stores.reader.head(each))?.currentVersion).toBe(versionId(8));
        expect(await stores.reader.listVersions(each, all)).toHaveLength(index === which ? 2 : 1);
      }
    });

    it.each([0, 1, 2])(
      'decides anew when attributes of the asked version of the %s. alone have changed',
      async (which) => {
        const stores = await open();
        const first = sealedVersion(1);
        for (const key of family()) await stores.create(key, 'name', first, sealedVersion(2));
        const key = family()[which];
        if (key === undefined) throw new Error('three');
        let overtaken = 0;
        const slow = stores.writerBehind(async () => {
          overtaken += 1;
          if (overtaken > 1) return;
          const update = { ...metadataOf(first), enabled: false, tags: { by: 'other' } };
          await stores.other.change(key, { version: first.version }, () => ({
            head: 'same',
            update,
            result: undefined,
          }));
        });
        const seen: unknown[] = [];
        await slow.changeTogether(asked('NAME', first.version), (states) => {
          seen.push(states.map(({ version }) => version?.enabled));
          const changes = states.map(({ version }): ObjectChange<undefined> => {
            if (version === undefined) throw new Error('the version is gone');
            return { head: 'same', update: { ...version, updated: 99 }, result: undefined };
          });
          return { changes, result: undefined };
        });
        expect(seen).toEqual([[true, true, true], kinds.map((_kind, index) => index !== which)]);
        const found = await stores.reader.sealedVersion(key, first.version);
        expect(found?.version).toMatchObject({ enabled: false, tags: { by: 'other' }, updated: 99 });
      },
    );

    it('decides anew where what it would leave alone was removed', async () => {
      const stores = await open();
      for (const key of family()) await stores.create(key, 'name', sealedVersion(1));
      const [, , secret] = family();
      if (secret === undefined) throw new Error('three');
      let overtaken = 0;
      const slow = stores.writerBehind(async () => {
        overtaken += 1;
        if (overtaken === 1) await stores.other.change(secret, { version: undefined }, () => gone);
      });
      const refusal = new Error('the secret is gone');
      const write = slow.changeTogether(asked(), (states) => {
        if (states[2]?.head === undefined) throw refusal;
        return { changes: [add('name', sealedVersion(2)), same, same], result: undefined };
      });
      await expect(write).rejects.toBe(refusal);
      expect((await heads(stores))[0]?.currentVersion).toBe(versionId(1));
    });

    it('loses nothing of what two processes do to the same objects at once, and neither waits for ever', async () => {
      const stores = await open();
      const first = sealedVersion(0, { detail: '0' });
      for (const key of family()) await stores.create(key, 'name', first);
      const rounds = 12;
      const next = ({ head, version }: ObjectState): ObjectChange<undefined> => {
        if (head === undefined || version === undefined) throw new Error('the object is gone');
        const update = { ...version, detail: String(Number(version.detail) + 1) };
        return { head: 'same', update, result: undefined };
      };
      const together = async (by: ObjectWriter) => {
        for (let round = 0; round < rounds; round += 1)
          await by.changeTogether(asked(), (states) => ({ changes: states.map(next), result: undefined }));
      };
      // Who writes one of them only is in nobody's way.
      const alone = async (by: ObjectWriter, key: ObjectKey) => {
        for (let round = 0; round < rounds; round += 1) await by.change(key, { version: undefined }, next);
      };
      const [certificate, , secret] = family();
      if (certificate === undefined || secret === undefined) throw new Error('three');
      await Promise.all([
        together(stores.writer),
        together(stores.other),
        alone(stores.other, certificate),
        alone(stores.writer, secret),
      ]);
      const found = await Promise.all(family().map((key) => stores.reader.sealedVersion(key, undefined)));
      expect(found.map((each) => Number(each?.version.detail))).toEqual([3, 2, 3].map((n) => n * rounds));
    });

    it('lets one of several writers make a family, whoever comes first, and nothing of the others', async () => {
      const stores = await open();
      for (let round = 0; round < 6; round += 1) {
        const name = `NAME-${round}`;
        const make = (by: ObjectWriter, n: number) =>
          by.changeTogether(asked(name), (states) => {
            if (states.some(({ head }) => head !== undefined)) throw new Error('taken');
            return { changes: kinds.map(() => add(`by-${n}`, sealedVersion(n))), result: n };
          });
        const writers = [stores.writer, stores.other, stores.writer, stores.other];
        const made = await Promise.allSettled(writers.map((by, n) => make(by, n)));
        const won = made.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
        expect(won).toHaveLength(1);
        const names = (await heads(stores, name)).map((head) => head?.name);
        expect(names).toEqual(kinds.map(() => `by-${won[0]}`));
        for (const key of family(name)) expect(await stores.reader.listVersions(key, all)).toHaveLength(1);
      }
    });

    it('keeps a family whole between those who remove it and those who make it', async () => {
      const stores = await open();
      const toggle = async (by: ObjectWriter, from: number) => {
        for (let round = 0; round < 25; round += 1) {
          await by.changeTogether(asked(), (states) => {
            const there = states.filter(({ head }) => head !== undefined).length;
            // Read within one write there is all of it or nothing.
            if (there !== 0 && there !== kinds.length) throw new Error(`${there} of ${kinds.length}`);
            const version = sealedVersion(from + round);
            const change = there === 0 ? add('name', version) : gone;
            return { changes: kinds.map(() => change), result: undefined };
          });
        }
      };
      await Promise.all([toggle(stores.writer, 100), toggle(stores.other, 200)]);
      expect(await heads(stores)).toEqual([undefined, undefined, undefined]);
    });

    it('tells of every object that was written, before it answers', async () => {
      const stores = await open();
      const told: (string | undefined)[] = [];
      stores.feed.subscribe('object', (key) => told.push(key));
      await stores.writer.changeTogether(asked(), () => ({
        changes: kinds.map(() => add('name', sealedVersion(1))),
        result: undefined,
      }));
      for (const kind of kinds) {
        const { vaultId, nameKey } = objectKey(1, 'NAME');
        expect(told).toContain(`${vaultId}|${kind}|${nameKey}`);
      }
    });
  });

  describe('versions that are dropped', () => {
    it('go, and the others stay', async () => {
      const stores = await open();
      const key = objectKey(1, 'NAME');
      const [one, two, three] = [sealedVersion(1), sealedVersion(2), sealedVersion(3)];
      await stores.create(key, 'name', one, two, three);
      await stores.create(objectKey(2, 'NAME'), 'name', one);
      await stores.create(objectKey(1, 'NAME', 'keys'), 'name', one);
      await stores.writer.change(key, { version: undefined }, () => ({
        head: 'same',
        drop: [one.version, two.version, versionId(99)],
        result: undefined,
      }));
      expect(await stores.reader.listVersions(key, all)).toEqual([metadataOf(three)]);
      expect(await stores.reader.sealedVersion(key, one.version)).toBeUndefined();
      expect(await stores.reader.listVersions(objectKey(2, 'NAME'), all)).toHaveLength(1);
      expect(await stores.reader.listVersions(objectKey(1, 'NAME', 'keys'), all)).toHaveLength(1);
    });

    it('make room for one of the same id with another value, in the same write', async () => {
      const stores = await open();
      const before = sealedVersion(1);
      for (const key of family()) await stores.create(key, 'name', before);
      const envelope = { ...before.envelope, value: Buffer.from('another') };
      const after = sealedVersion(1, { enabled: false, envelope });
      await stores.writer.changeTogether(asked(), () => ({
        changes: kinds.map(() => ({
          head: liveHead('name', after),
          drop: [before.version],
          add: [after],
          result: undefined,
        })),
        result: undefined,
      }));
      for (const key of family()) {
        const found = await stores.reader.sealedVersion(key, undefined);
        expect([sealedText(found?.version), found?.version.enabled]).toEqual(['another', false]);
        expect(await stores.reader.listVersions(key, all)).toHaveLength(1);
      }
    });

    it('can be all of them: the head stays, in lists of what is due and of what is there it does not', async () => {
      const stores = await open();
      const key = objectKey(1, 'NAME', 'pendingcertificates');
      const only = sealedVersion(1);
      await stores.put(key, liveHead('name', only, { detail: '{}', dueAt: 5 }), only);
      await stores.writer.change(key, { version: undefined }, ({ head }) => {
        if (head === undefined) throw new Error('the object is gone');
        return { head: { ...head, detail: '{"ended":true}' }, drop: [only.version], result: undefined };
      });
      expect(await stores.reader.head(key)).toMatchObject({ detail: '{"ended":true}', dueAt: 5 });
      expect(await stores.reader.sealedVersion(key, undefined)).toBeUndefined();
      const of = { vaultId: key.vaultId, kind: key.kind, now: 9 } as const;
      expect(await stores.reader.listDue(of, { after: undefined, limit: 9 })).toEqual([]);
      // Decisions see the head without a version.
      await stores.writer.changeTogether([{ key }], ([state]) => {
        expect(state?.head?.detail).toBe('{"ended":true}');
        expect(state?.version).toBeUndefined();
        return { changes: [gone], result: undefined };
      });
      expect(await stores.reader.head(key)).toBeUndefined();
    });

    it('stay where the change that drops them cannot be written', async () => {
      const stores = await open();
      const key = objectKey(1, 'NAME');
      const before = sealedVersion(1);
      await stores.create(key, 'name', before);
      const stale = sealedVersion(2, { envelope: { ...before.envelope, keyVersion: 2 } });
      const write = stores.writer.change(key, { version: undefined }, () => ({
        ...add('name', stale),
        drop: [before.version],
      }));
      await expect(write).rejects.toThrow(StaleVaultKey);
      expect(await stores.reader.listVersions(key, all)).toEqual([metadataOf(before)]);
    });
  });
}
