/** The other side of an exchange, played by a test: it answers when and as it is told. */
import { hostCaller } from "../model/Caller.ts"
import type {
  Call,
  Dispatch,
  Framing,
  RequestStream,
  ResponseHead,
  ResponseReceiver
} from "../model/Exchange.ts"
import { streamBody } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"

export const responseHead = (
  status: number,
  fields: ReadonlyArray<string> = [],
  framing: Framing = streamBody
): ResponseHead => ({ status, reason: "", fields, framing, upgrade: undefined })

export const httpCall = (method = "GET"): Call => ({
  kind: "http",
  service: ServiceName.make("payments"),
  head: {
    method,
    target: "/",
    authority: "payments.mesh",
    fields: [],
    framing: { kind: "none" },
    upgrade: undefined,
    expectsContinue: false
  },
  endpoint: undefined,
  caller: PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M"),
  identity: hostCaller(NodeName.make("host-a")),
  deadline: undefined,
  attempt: 0
})

export const someFault: Fault = {
  code: "upstream_reset",
  message: "the endpoint closed the connection",
  node: NodeName.make("host-b"),
  service: ServiceName.make("payments"),
  sent: true
}

export class ScriptedCallee implements RequestStream {
  /** What `write` answers. */
  takesMore = true
  readonly written: Array<string> = []
  ended = false
  cancelled: Fault | undefined
  resumes = 0
  call: Call | undefined
  onResume: () => void = () => {}
  /** Called with each exchange, once `dispatch` has returned. */
  onCall: () => void = () => {}
  #receiver: ResponseReceiver | undefined
  #waiting: Array<() => void> = []

  readonly dispatch: Dispatch = (call, receiver) => {
    this.call = call
    this.#receiver = receiver
    queueMicrotask(() => this.onCall())
    return this
  }

  get receiver(): ResponseReceiver {
    if (this.#receiver === undefined) throw new Error("nobody has called yet")
    return this.#receiver
  }

  /** Done as soon as `condition` holds after something was sent here. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((wake) => this.#waiting.push(wake))
  }

  write(chunk: Uint8Array): boolean {
    this.written.push(Buffer.from(chunk).toString("latin1"))
    this.#wake()
    return this.takesMore
  }

  end(): void {
    this.ended = true
    this.#wake()
  }

  cancel(fault: Fault): void {
    this.cancelled = fault
    this.#wake()
  }

  resume(): void {
    this.resumes++
    this.onResume()
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
