/** Proves that who listens to a topic hears all of its changes in order, and that something was missed when it was. */
import { expect, test } from 'vitest';
import { createChangeHub, everyKey } from './changes.ts';

test('a listener hears the changes of its topic, in order, before the teller goes on', () => {
  const hub = createChangeHub();
  const heard: unknown[] = [];
  hub.subscribe('vault', (key) => heard.push(['vault', key]));
  hub.subscribe('object', (key) => heard.push(['object', key]));
  hub.publish([
    { topic: 'vault', key: 'a' },
    { topic: 'object', key: 'b' },
    { topic: 'rootKeys', key: 'nobody listens' },
    { topic: 'vault', key: 'c' },
  ]);
  expect(heard).toEqual([
    ['vault', 'a'],
    ['object', 'b'],
    ['vault', 'c'],
  ]);
});

test('all listeners of a topic hear, in the order in which they came, from when they came', () => {
  const hub = createChangeHub();
  const heard: string[] = [];
  hub.publish([{ topic: 'vault', key: 'before' }]);
  hub.subscribe('vault', (key) => heard.push(`first ${key}`));
  hub.subscribe('vault', (key) => heard.push(`second ${key}`));
  hub.publish([{ topic: 'vault', key: 'a' }]);
  expect(heard).toEqual(['first a', 'second a']);
});

test('a change of everything, and a lapse, name no key', () => {
  const hub = createChangeHub();
  const heard: unknown[] = [];
  for (const topic of ['vault', 'object'] as const) hub.subscribe(topic, (key) => heard.push([topic, key]));
  hub.publish([{ topic: 'vault', key: everyKey }]);
  expect(heard).toEqual([['vault', undefined]]);
  heard.length = 0;
  hub.lapse();
  expect(heard).toEqual([
    ['vault', undefined],
    ['object', undefined],
  ]);
});

test('it is as fresh as its source says at each moment', () => {
  expect(createChangeHub().fresh()).toBe(true);
  let fresh = false;
  const hub = createChangeHub(() => fresh);
  expect(hub.fresh()).toBe(false);
  fresh = true;
  expect(hub.fresh()).toBe(true);
});

test('a listener that comes while a change is told disturbs nobody', () => {
  const hub = createChangeHub();
  const heard: string[] = [];
  hub.subscribe('vault', (key) => {
    heard.push(`outer ${key}`);
    if (key === 'a') hub.subscribe('vault', (inner) => heard.push(`inner ${inner}`));
  });
  hub.publish([
    { topic: 'vault', key: 'a' },
    { topic: 'vault', key: 'b' },
  ]);
  expect(heard).toEqual(['outer a', 'outer b', 'inner b']);
});
