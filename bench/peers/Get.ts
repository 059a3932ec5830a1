/** One request of HTTP/1.1, whose Host is ours to say. */
import { request } from "node:http"

export interface Answer {
  readonly status: number
  readonly text: string
}

/** fetch would not let us say which Host we mean. */
export const get = (entry: string, host: string, path = "/"): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const call = request(
      `http://${entry}${path}`,
      { headers: { host }, agent: false },
      (answer) => {
        let text = ""
        answer.setEncoding("utf8")
        answer.on("data", (chunk: string) => {
          text += chunk
        })
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }))
        answer.on("error", reject)
      }
    )
    call.on("error", reject)
    call.end()
  })
