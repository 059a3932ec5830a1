/** A call through a node's proxy, as curl would make it. */
import { request } from "node:http"
import { Effect } from "effect"
import type { NodePlace } from "./Nodes.ts"
import { StepFailed } from "./StepFailed.ts"

/** How long an answer may take, ms. */
const patience = 5_000

export interface Answer {
  readonly status: number
  readonly text: string
}

/** Whatever the status; fails when there is no answer. */
export const through = (node: NodePlace, url: string): Effect.Effect<Answer, StepFailed> =>
  Effect.async<Answer, StepFailed>((resume) => {
    const fail = ({ message }: Error): void =>
      resume(new StepFailed({ message: `${url} through ${node.name}: ${message}` }))
    const { hostname, port } = new URL(`http://${node.proxy}`)
    const { host } = new URL(url)
    const options = {
      hostname,
      port,
      path: url,
      headers: { host },
      agent: false,
      timeout: patience
    }
    const sent = request(options, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        text += chunk
      })
      response.on("error", fail)
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, text: text.trim() }))
      )
    })
    sent.on("timeout", () => sent.destroy(new Error(`no answer within ${patience} ms`)))
    sent.on("error", fail)
    sent.end()
    return Effect.sync(() => sent.destroy())
  })
