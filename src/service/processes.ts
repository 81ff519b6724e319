/** What the supervisor and the processes that it starts say to each other. */

export interface Addresses {
  readonly port: number;
  readonly localPort: number | undefined;
}

export type FromProcess =
  /** The data folder is this server's: the writer may open it. */
  | { readonly type: 'admitted' }
  | ({ readonly type: 'serving' } & Addresses)
  /** It cannot start, for a reason that is told to people. */
  | { readonly type: 'failed'; readonly name: string; readonly message: string };

export interface ToProcess {
  readonly type: 'stop';
}

/** Sends to the supervisor; lost if that is gone, in which case this process ends anyway. */
export function tellSupervisor(message: FromProcess): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

/** Calls `stop` once, when the supervisor says so. */
export function onStop(stop: () => void): void {
  process.on('message', (message: ToProcess) => {
    if (message.type === 'stop') stop();
  });
}
