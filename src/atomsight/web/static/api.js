// The server: requests, uploads, jobs. Every failure comes as an Error whose message can be shown.

const FILES_AT_ONCE = 100;

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; is atomsight serve still running?");
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `The server answers ${answer.status}.`);
  return body;
}

export const get = (path) => ask(path);
export const remove = (path) => ask(path, { method: "DELETE" });
export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Send files in portions; `tell` receives how many are sent. */
export async function upload(files, tell) {
  let to = null;
  for (let start = 0; start < files.length; start += FILES_AT_ONCE) {
    const form = new FormData();
    for (const file of files.slice(start, start + FILES_AT_ONCE)) {
      form.append("files", file, file.place || file.webkitRelativePath || file.name);
    }
    tell(start);
    const answer = await ask(`/api/uploads${to ? `?to=${encodeURIComponent(to)}` : ""}`, { method: "POST", body: form });
    to = answer.upload;
  }
  return to;
}

/** Watch a job; `tell` receives each status. Gives back the last one. */
export function watch(job, tell) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/api/jobs/${job}/events`);
    let over = false;
    events.onmessage = ({ data }) => {
      const status = JSON.parse(data);
      over = ["done", "failed", "cancelled"].includes(status.state);
      if (over) events.close();
      tell(status);
      if (over) resolve(status);
    };
    events.onerror = () => {
      if (over) return;
      events.close();
      reject(new Error("The server does not answer; is atomsight serve still running?"));
    };
  });
}
