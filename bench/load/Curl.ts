/** Bulk transfers by curl, which throws the bytes away and says how many there were. */
import { ChildEnded } from "../../test/fixtures/ChildEnd.ts"
import { type Running, run, start } from "../../test/fixtures/Processes.ts"

export interface Download {
  readonly status: number
  readonly bytes: number
}

/** `200 1073741824`, as `--write-out` was told. */
export const parseDownload = (text: string): Download => {
  const match = /^(\d{3}) (\d+)$/.exec(text.trim())
  if (match === null)
    throw new Error(`curl said ${JSON.stringify(text)} instead of status and size`)
  return { status: Number(match[1]), bytes: Number(match[2]) }
}

/** What arrived, also of a download that broke off. */
export const download = async (curl: string, url: string, host: string): Promise<Download> => {
  const { end, stdout } = await run(
    curl,
    [
      ...["--silent", "--show-error", "--header", `Host: ${host}`, "--output", "/dev/null"],
      ...["--noproxy", "*", "--write-out", "%{http_code} %{size_download}", url]
    ],
    { what: `curl reading ${url}` }
  )
  // It says what it has got also when the other side broke off; not when it was ended itself.
  if (end.signal !== null) throw new ChildEnded(end)
  return parseDownload(stdout)
}

/** One upload after the other, until it is stopped. `bytesPerSecond`: of each; absent: no limit. */
export const uploadAgainAndAgain = (
  curl: string,
  url: string,
  host: string,
  file: string,
  bytesPerSecond: number | undefined
): Running =>
  start(curl, [
    ...["--silent", "--show-error", "--fail", "--header", `Host: ${host}`, "--noproxy", "*"],
    ...(bytesPerSecond === undefined ? [] : ["--limit-rate", String(bytesPerSecond)]),
    // The files are one and the same: curl repeats a request for as many as a range names.
    ...["--request", "POST", "--upload-file", file, `${url}?[1-1000000]`]
  ])
