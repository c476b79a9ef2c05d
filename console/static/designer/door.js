// The API's flow routes, asked in the name of whoever is logged in.
const token = document.querySelector("meta[name=csrf]").content;

export class Refusal extends Error {
  constructor(status, problem) {
    const details = (problem.errors ?? []).map((one) => one.detail).join(" ");
    super(details || problem.detail || problem.title || String(status));
    this.status = status;
    this.problem = problem;
  }
}

/** The answer and its ETag; throws Refusal. `null` for an answer without content. */
export async function ask(method, path, body, headers = {}) {
  const answer = await fetch(`/console/door/v1/${path}`, {
    method,
    headers: { Accept: "application/json", "X-CSRF-Token": token, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) location.href = `/console/login?next=${encodeURIComponent(location.pathname)}`;
  const text = await answer.text();
  const content = text ? JSON.parse(text) : null;
  if (!answer.ok) throw new Refusal(answer.status, content ?? {});
  return { content, etag: answer.headers.get("etag") };
}

export const read = async (path) => (await ask("GET", path)).content;
export const post = async (path, body) => (await ask("POST", path, body)).content;
