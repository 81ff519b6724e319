/** As much of a browser as our pages need: cookies are kept and sent back, forms are filled in and submitted. */
import { type RawResponse, send, type TestServer } from './server.ts';
import type { TestUser } from './sign-in.ts';

/** A page as it came, with its form. */
export class Page {
  readonly server: TestServer;
  readonly host: string;
  /** Path and query of the page itself. */
  readonly path: string;
  readonly reply: RawResponse;
  readonly cookie: string | undefined;

  constructor(
    at: { server: TestServer; host: string; path: string; cookie: string | undefined },
    reply: RawResponse,
  ) {
    this.server = at.server;
    this.host = at.host;
    this.path = at.path;
    this.reply = reply;
    const set = ([] as string[]).concat(reply.headers['set-cookie'] ?? [])[0];
    this.cookie = set?.split(';')[0] ?? at.cookie;
  }

  get status(): number {
    return this.reply.status;
  }

  get text(): string {
    return this.reply.text;
  }

  /** The form's fields as they are filled in beforehand. */
  get fields(): Record<string, string> {
    const inputs = [...this.text.matchAll(/<input [^>]*>/g)].map(([input]) => input);
    const of = (input: string, name: string) =>
      decoded(new RegExp(` ${name}="([^"]*)"`).exec(input)?.[1] ?? '');
    return Object.fromEntries(inputs.map((input) => [of(input, 'name'), of(input, 'value')]));
  }

  /** Where the form leads. */
  get action(): string {
    const action = decoded(/<form [^>]*action="([^"]*)"/.exec(this.text)?.[1] ?? '');
    const { pathname, search } = new URL(action, `https://${this.host}${this.path}`);
    return `${pathname}${search}`;
  }

  /** Fills in and submits the form; `cookie: null` is a browser that was never here. */
  async submit(fields: Record<string, string>, from: { cookie?: string | null } = {}): Promise<Page> {
    const cookie = from.cookie === undefined ? this.cookie : (from.cookie ?? undefined);
    const { server, host, action } = this;
    const reply = await send(server, {
      host,
      method: 'POST',
      path: action,
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        ...(cookie === undefined ? {} : { Cookie: cookie }),
      },
      body: new URLSearchParams({ ...this.fields, ...fields }).toString(),
    });
    return new Page({ server, host, path: action, cookie }, reply);
  }
}

/** Opens a page by its path and query. */
export async function openPage(
  server: TestServer,
  at: { host: string; path: string; cookie?: string },
): Promise<Page> {
  const { host, path, cookie } = at;
  const headers = cookie === undefined ? {} : { Cookie: cookie };
  return new Page({ server, host, path, cookie }, await send(server, { host, path, headers }));
}

/** The page on which users type the codes of devices. */
export const DevicePage = {
  async open(server: TestServer) {
    const host = `login.strongroom.localhost:${server.port}`;
    const page = await openPage(server, { host, path: '/devicelogin' });
    return {
      submit: (fields: Record<string, string>) => page.submit(fields),
      async approve(userCode: string, { userName, password }: TestUser): Promise<Page> {
        const asked = await page.submit({ user_code: userCode });
        return asked.submit({ username: userName, password, action: 'approve' });
      },
    };
  },
};

function decoded(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
