/**
 * Clients that use the secrets of a server of several processes all at once, by chance, and note what they asked and
 * saw: names that one client changes in every way, names that several write, and a role that is given and taken.
 * What is refused for want of storage or cut off is tried again elsewhere; any other surprise is a problem.
 */
import {
  type Application,
  type Connection,
  connectVault,
  controlOf,
  type Reply,
  signIn,
  type Target,
} from './cluster-client.ts';
import {
  type Look,
  type Read,
  type Register,
  randomFrom,
  type Step,
  type Timeline,
  type Write,
} from './history.ts';

/** A server that requests go to. */
export interface Place extends Target {
  /** The process behind it; undefined for one of several, which is the same for a connection's life. */
  readonly process: string | undefined;
}

/** What is known of a name that one client changes. A version goes by its value: no two have the same. */
interface SecretState {
  readonly live: boolean;
  readonly current: string | undefined;
  readonly values: ReadonlySet<string>;
  readonly disabled: ReadonlySet<string>;
}

interface Mixed {
  readonly name: string;
  readonly steps: Step<SecretState>[];
  readonly looks: Look<SecretState>[];
  /** Ids of acknowledged versions, with their values. */
  readonly versions: [id: string, value: string][];
}

interface NamedRegister {
  readonly name: string;
  readonly writes: Write[];
  readonly reads: Read[];
}

/** Requests. */
const longestRegister = 1000;

function newRegister(number: number): NamedRegister {
  return { name: `register-${number}`, writes: [], reads: [] };
}

export interface LoadHistory {
  readonly mixed: readonly Timeline<SecretState>[];
  readonly registers: readonly Register[];
  readonly role: Timeline<boolean>;
  /** Every id and value that was seen together. */
  readonly versions: readonly (readonly [string, string])[];
  /** Values whose write was acknowledged, with the id that it got, by name. */
  readonly acknowledged: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly problems: readonly string[];
}

export interface Load {
  /** How many requests have been answered, other than with 503. */
  answered(): number;
  /** Ends the clients and gives what they noted. */
  stop(): Promise<LoadHistory>;
}

const version = '?api-version=7.4';
export const fixedSecret = 'fixed';
const role = 'Key Vault Secrets User';

interface Answer extends Reply {
  readonly begin: number;
  readonly end: number;
  readonly process: string;
}

/** Starts the clients. The server must be new: the names are made here. */
export async function startLoad(places: readonly Place[], seed: number): Promise<Load> {
  const [first] = places;
  if (first === undefined) throw new Error('nowhere to go');
  const load = new ClusterLoad(places, await prepare(first), seed);
  load.start();
  return load;
}

interface Prepared {
  readonly token: string;
  readonly watcher: { readonly token: string; readonly identity: string };
}

async function prepare(first: Place): Promise<Prepared> {
  const token = await signIn(first);
  const vault = connectVault(first, token);
  const { status } = await vault.send('PUT', `/secrets/${fixedSecret}${version}`, { value: 'fixed' });
  vault.close();
  if (status !== 200) throw new Error(`cannot begin: ${status}`);
  const made = await controlOf<{ clientId: string; objectId: string }>(first, 'identity create', {
    name: 'watcher',
  });
  const { secret } = await controlOf<{ secret: string }>(first, 'identity secret', {
    identity: made.objectId,
  });
  const application: Application = { clientId: made.clientId, clientSecret: secret };
  return { token, watcher: { token: await signIn(first, application), identity: made.objectId } };
}

class ClusterLoad implements Load {
  readonly #places: readonly Place[];
  readonly #prepared: Prepared;
  readonly #seed: number;
  readonly #clients: Promise<void>[] = [];
  readonly #problems: string[] = [];
  readonly #seen: [string, string][] = [];
  readonly #acknowledged = new Map<string, Map<string, string>>();
  readonly #mixed: Mixed[] = ['mixed-a', 'mixed-b'].map((name) => ({
    name,
    steps: [],
    looks: [],
    versions: [],
  }));
  readonly #used: NamedRegister[] = [];
  #registers: readonly [NamedRegister, NamedRegister] = [newRegister(0), newRegister(1)];
  readonly #role = { steps: [] as Step<boolean>[], looks: [] as Look<boolean>[] };
  #answered = 0;
  #stopped = false;
  #values = 0;

  constructor(places: readonly Place[], prepared: Prepared, seed: number) {
    this.#places = places;
    this.#prepared = prepared;
    this.#seed = seed;
  }

  answered(): number {
    return this.#answered;
  }

  start(): void {
    const random = randomFrom(this.#seed);
    const client = (run: (client: RandomClient) => Promise<void>, token = this.#prepared.token) => {
      const own = new RandomClient(this.#places, { token, seed: Math.floor(random() * 2 ** 31) });
      this.#clients.push(this.#repeat(own, run));
    };
    for (const mixed of this.#mixed) client(this.#changer(mixed));
    for (const which of [0, 1, 0, 1] as const) client((own) => this.#write(own, this.#register(which)));
    for (let n = 0; n < 4; n += 1) client((own) => this.#read(own));
    client(this.#grantor());
    client((own) => this.#watch(own), this.#prepared.watcher.token);
  }

  async stop(): Promise<LoadHistory> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    return {
      mixed: this.#mixed.flatMap(timelinesOf),
      registers: [...this.#used, ...this.#registers],
      role: { initial: false, ...this.#role },
      versions: this.#seen,
      acknowledged: this.#acknowledged,
      problems: this.#problems,
    };
  }

  async #repeat(client: RandomClient, run: (client: RandomClient) => Promise<void>): Promise<void> {
    try {
      while (!this.#stopped) await run(client);
    } catch (error) {
      this.#problems.push(String(error));
    } finally {
      client.close();
    }
  }

  /** The answer of some server, if it is one that says something; what does not is held to its form. */
  async #ask(client: RandomClient, method: string, path: string, body?: object): Promise<Answer | undefined> {
    const answer = await client.ask(method, path, body);
    if (answer === undefined) return undefined;
    if (answer.status === 503) {
      if (answer.retryAfter === undefined)
        this.#problems.push(`503 without Retry-After to ${method} ${path}`);
      return undefined;
    }
    if (answer.status >= 500)
      this.#problems.push(`${answer.status} to ${method} ${path}: ${JSON.stringify(answer.json)}`);
    this.#answered += 1;
    if (answer.status === 200 && typeof answer.json.value === 'string') {
      this.#seen.push([answer.json.id, answer.json.value]);
    }
    return answer;
  }

  #newValue(): string {
    this.#values += 1;
    return `value ${this.#values}`;
  }

  #acknowledge(name: string, answer: Answer, value: string): string {
    const known = this.#acknowledged.get(name) ?? new Map<string, string>();
    const id = String(answer.json.id).split('/').at(-1) ?? '';
    this.#acknowledged.set(name, known.set(value, id));
    return id;
  }

  /** One of the two in use. The check of a register takes the square of its length: new ones take turns. */
  #register(which: 0 | 1): NamedRegister {
    const [older, newer] = this.#registers;
    if (older.writes.length + older.reads.length > longestRegister) {
      this.#registers = [newer, newRegister(this.#used.push(older) + 1)];
    }
    return this.#registers[which];
  }

  async #write(client: RandomClient, register: NamedRegister): Promise<void> {
    const value = this.#newValue();
    const begin = performance.now();
    const answer = await this.#ask(client, 'PUT', `/secrets/${register.name}${version}`, { value });
    if (answer === undefined) {
      register.writes.push({ begin, end: Number.POSITIVE_INFINITY, process: 'unknown', value });
    } else if (answer.status === 200) {
      register.writes.push({ ...answer, value });
      this.#acknowledge(register.name, answer, value);
    } else this.#problems.push(`${answer.status} to a write of ${register.name}`);
  }

  async #read(client: RandomClient): Promise<void> {
    const all = [this.#register(0), this.#register(1), ...this.#mixed];
    const chosen = client.one(all);
    if (chosen === undefined) return;
    if ('reads' in chosen) await this.#readRegister(client, chosen);
    else await this.#lookAt(client, chosen);
  }

  async #readRegister(client: RandomClient, { name, reads }: { name: string; reads: Read[] }): Promise<void> {
    const answer = await this.#ask(client, 'GET', `/secrets/${name}${version}`);
    if (answer?.status === 200) reads.push({ ...answer, value: answer.json.value });
    else if (answer?.status === 404) reads.push({ ...answer, value: undefined });
    else if (answer !== undefined) this.#problems.push(`${answer.status} to a read of ${name}`);
  }

  async #lookAt(client: RandomClient, { name, looks, versions }: Mixed): Promise<void> {
    const known = client.chance() < 0.4 ? client.one(versions.slice(-6)) : undefined;
    const path = known === undefined ? '' : `/${known[0]}`;
    const answer = await this.#ask(client, 'GET', `/secrets/${name}${path}${version}`);
    if (answer === undefined) return;
    const { status, json } = answer;
    const wanted = (state: SecretState) => known?.[1] ?? state.current;
    looks.push({
      ...answer,
      saw: `${name}${path}: ${status} ${json.value ?? ''}`,
      fits: (state) =>
        status === statusOf(state, wanted(state)) && (status !== 200 || json.value === wanted(state)),
    });
  }

  /** Goes from one state of a name to the next; a change that got no answer is tried again until it gets one. */
  #changer(mixed: Mixed): (client: RandomClient) => Promise<void> {
    let state = absent;
    return async (client) => {
      const change = this.#nextChange(client, mixed, state);
      for (let attempt = 1; ; attempt += 1) {
        const { method, path, body, next } = change();
        const what = `${method} ${path} ${JSON.stringify(body)}`;
        const begin = performance.now();
        const answer = await this.#ask(client, method, path, body);
        if (answer === undefined) {
          mixed.steps.push({ begin, end: Number.POSITIVE_INFINITY, process: 'unknown', state: next, what });
          if (this.#stopped) return;
          // It may have been done: what is not done twice is then refused.
          if (method === 'PUT') state = next;
          continue;
        }
        const isDone = answer.status === 200 || (attempt > 1 && answer.status === doneBefore[method]);
        if (!isDone) this.#problems.push(`${answer.status} to ${method} ${path}, attempt ${attempt}`);
        // Of several attempts nobody knows which did it.
        const process = attempt > 1 && method !== 'PUT' ? 'unknown' : answer.process;
        mixed.steps.push({ ...answer, process, state: next, what });
        if (method === 'PUT' && answer.status === 200) {
          mixed.versions.push([
            this.#acknowledge(mixed.name, answer, next.current ?? ''),
            next.current ?? '',
          ]);
        }
        state = next;
        return;
      }
    };
  }

  #nextChange(client: RandomClient, { name, versions }: Mixed, state: SecretState) {
    const chance = client.chance();
    if (!state.live && state.current !== undefined) {
      const next = { ...state, live: true };
      return () => ({
        method: 'POST',
        path: `/deletedsecrets/${name}/recover${version}`,
        body: undefined,
        next,
      });
    }
    const last = versions.at(-1);
    if (state.live && chance < 0.25) {
      const next = { ...state, live: false };
      return () => ({ method: 'DELETE', path: `/secrets/${name}${version}`, body: undefined, next });
    }
    if (state.live && chance < 0.6 && last !== undefined) {
      const [id, value] = last;
      const enabled = state.disabled.has(value);
      const disabled = new Set(state.disabled);
      if (enabled) disabled.delete(value);
      else disabled.add(value);
      const path = `/secrets/${name}/${id}${version}`;
      return () => ({
        method: 'PATCH',
        path,
        body: { attributes: { enabled } },
        next: { ...state, disabled },
      });
    }
    // Each attempt is a version of its own; the ones before it may be there.
    let values = state.values;
    return () => {
      const value = this.#newValue();
      values = new Set([...values, value]);
      const next = { ...state, live: true, current: value, values };
      return { method: 'PUT', path: `/secrets/${name}${version}`, body: { value }, next };
    };
  }

  /** Gives and takes the role by turns. */
  #grantor(): (client: RandomClient) => Promise<void> {
    let granted = false;
    return async (client) => {
      const next = !granted;
      const what = next ? 'grant' : 'revoke';
      const begin = performance.now();
      for (let attempt = 1; ; attempt += 1) {
        const place = client.one(this.#places) as Place;
        const process = (attempt > 1 ? undefined : place.process) ?? 'unknown';
        try {
          await this.#setRole(place, next);
          this.#role.steps.push({ begin, end: performance.now(), process, state: next, what });
          granted = next;
          break;
        } catch {
          if (this.#stopped) {
            this.#role.steps.push({
              begin,
              end: Number.POSITIVE_INFINITY,
              process: 'unknown',
              state: next,
              what,
            });
            return;
          }
          await pause();
        }
      }
    };
  }

  async #setRole(place: Place, wanted: boolean): Promise<void> {
    const { identity } = this.#prepared.watcher;
    const { grants } = await controlOf<{ grants: { id: string }[] }>(place, 'identity grants', { identity });
    if (wanted && grants.length === 0)
      await controlOf(place, 'identity grant', { identity, role, vault: 'dev' });
    if (!wanted) for (const { id } of grants) await controlOf(place, 'identity revoke', { id });
  }

  async #watch(client: RandomClient): Promise<void> {
    const answer = await this.#ask(client, 'GET', `/secrets/${fixedSecret}${version}`);
    if (answer === undefined) return;
    const granted = answer.status === 200;
    if (!granted && answer.status !== 403) this.#problems.push(`${answer.status} to the watcher`);
    this.#role.looks.push({
      ...answer,
      saw: granted ? 'the role' : 'no role',
      fits: (state) => state === granted,
    });
  }
}

const absent: SecretState = { live: false, current: undefined, values: new Set(), disabled: new Set() };

/**
 * One for each URL: a process may know of one version from memory what it has just read anew of another, for as long
 * as the bound, so that it goes back on nothing only where the same is asked again.
 */
function timelinesOf({ steps, looks }: Mixed): Timeline<SecretState>[] {
  const byPath = Map.groupBy(looks, ({ saw }) => saw.split(':', 1)[0]);
  return [...byPath.values()].map((own) => ({ initial: absent, steps, looks: own }));
}

/** How a change is refused that an attempt before has made. */
const doneBefore: Readonly<Record<string, number>> = { DELETE: 404, POST: 400 };

/** What a read of a version gives in a state. */
function statusOf(state: SecretState, value: string | undefined): number {
  if (!state.live || value === undefined || !state.values.has(value)) return 404;
  return state.disabled.has(value) ? 403 : 200;
}

/** Between attempts on a server that is away, so that they do not fill the processor. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

/** One client: connections to all servers, and one request at a time to one of them by chance. */
class RandomClient {
  readonly chance: () => number;
  readonly #places: readonly { place: Place; vault: Connection }[];

  constructor(places: readonly Place[], { token, seed }: { token: string; seed: number }) {
    this.chance = randomFrom(seed);
    this.#places = places.map((place) => ({ place, vault: connectVault(place, token) }));
  }

  one<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.chance() * of.length)];
  }

  /** Undefined where no whole answer came, or from a server that was started again meanwhile. */
  async ask(method: string, path: string, body?: object): Promise<Answer | undefined> {
    const chosen = this.one(this.#places);
    if (chosen === undefined) return undefined;
    const { process } = chosen.place;
    const begin = performance.now();
    try {
      const reply = await chosen.vault.send(method, path, body);
      const end = performance.now();
      const isSame = chosen.place.process === process;
      return isSame ? { ...reply, begin, end, process: process ?? reply.connection } : undefined;
    } catch (error) {
      if (/no answer to/.test(String(error))) throw error;
      await pause();
      return undefined;
    }
  }

  close(): void {
    for (const { vault } of this.#places) vault.close();
  }
}
