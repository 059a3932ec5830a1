/** What is used of `ws`, which has no types of its own. */
declare module "ws" {
  import type { Duplex } from "node:stream"

  export interface Handshake {
    readonly method: string
    readonly url: string
    /** By name in small letters. */
    readonly headers: Readonly<Record<string, string>>
  }

  /** It has what the platform's `WebSocket` has, and more. */
  export interface ServerWebSocket extends globalThis.WebSocket {
    readonly isPaused: boolean
    pause(): void
    resume(): void
    on(event: "error", listener: (error: Error) => void): void
  }

  export class WebSocketServer {
    constructor(options: {
      readonly noServer: boolean
      readonly clientTracking: boolean
      /** Bytes of a message; longer ones close with 1009. */
      readonly maxPayload: number
    })
    /** Writes the answer to the stream; calls back at once where it is a 101, and else not at all. */
    handleUpgrade(
      request: Handshake,
      stream: Duplex,
      first: Buffer,
      then: (socket: ServerWebSocket) => void
    ): void
  }
}
