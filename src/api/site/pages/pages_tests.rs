use super::*;
use std::borrow::Cow;
use std::collections::BTreeSet;

#[path = "markup_tests.rs"]
mod markup;

use markup::{Markup, Tag, read};

/// Text that would be something else than text, were it not escaped.
const NASTY: &str = "</textarea></pre><script>alert(1)</script>\"'> autofocus onfocus=\"x\" {{name}}{{>part}}{{#a}}\
     \0\u{8}\u{2028}&amp;`=\r\n%3C";
/// [`NASTY`] as a page shows it.
const SHOWN: &str = "</textarea></pre><script>alert(1)</script>\"'> autofocus onfocus=\"x\" {{name}}{{>part}}{{#a}}\
     \u{FFFD}\u{FFFD}\u{2028}&amp;`=\r\n%3C";

const INPUTS: [&str; 9] =
    ["username", "email", "password", "full_name", "age", "gender", "access_token", "key", "value"];

fn body(response: &Response) -> &str {
    str::from_utf8(response.body_bytes()).unwrap()
}

fn markup(response: &Response) -> Markup {
    read(body(response))
}

/// A problem with every input, two with the key, and one with the form.
fn problems_with_all(message: &str) -> Vec<Problem> {
    let fields = INPUTS.iter().chain(&["key", ""]);
    fields.map(|field| Problem { field, message: message.to_owned() }).collect()
}

fn typed(fields: &[(&'static str, &'static str)]) -> Vec<(&'static str, Cow<'static, str>)> {
    fields.iter().map(|(name, text)| (*name, Cow::from(*text))).collect()
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The pages with forms, which take problems.
fn form_pages(viewer: &Viewer, status: u16, content: &FormContent<'_>, text: &str) -> Vec<Response> {
    let (done, keys) = (Some(text), keys(&[text, "b"]));
    let listing = FormContent { found: Some((text, text)), keys: &keys, next: Some(text), ..*content };
    let page = |form, content: &FormContent<'_>| form_page(viewer, status, form, content);
    vec![
        page(&REGISTER, content),
        page(&TOKEN, content),
        page(&LOGIN, content),
        page(&STORE, &FormContent { done, ..*content }),
        page(&STORE, content),
        page(&RETRIEVE, &listing),
        page(&RETRIEVE, content),
        page(&UPDATE, &FormContent { done, ..*content }),
        page(&UPDATE, content),
        page(&DELETE, &FormContent { done, ..*content }),
        page(&DELETE, content),
    ]
}

/// Every page in all its states, with `text` wherever one can be.
fn every_page(text: &str) -> Vec<Response> {
    let typed = INPUTS.map(|name| (name, Cow::from(if name == "gender" { "other" } else { text })));
    let all = problems_with_all(text);
    let of_form = [Problem { field: "", message: text.to_owned() }];
    let mut pages = Vec::new();
    for signed_in_as in [Some(text), None] {
        let viewer = &Viewer { signed_in_as: signed_in_as.map(str::to_owned), ..Viewer::default() };
        for (status, problems) in [(200, &[][..]), (400, &all), (401, &of_form)] {
            pages.extend(form_pages(
                viewer,
                status,
                &FormContent { typed: &typed, problems, ..FormContent::default() },
                text,
            ));
        }
        pages.extend([
            registered(viewer, text),
            token_created(viewer, text, 3600),
            dashboard(viewer),
            problem(viewer, 403, text),
            problem(viewer, 499, text),
        ]);
    }
    let closed = Viewer { auth_links: AuthLinks::LogIn, ..Viewer::default() };
    pages.push(form_page(&closed, 200, &LOGIN, &FormContent::default()));
    pages
}

/// The labels, by what they are for.
fn labelled(page: &Markup) -> BTreeSet<&str> {
    page.all("label").map(|label| label.attribute("for").unwrap()).collect()
}

/// What a person can fill in.
fn controls(page: &Markup) -> impl Iterator<Item = &Tag> {
    let is_control = |tag: &&Tag| ["input", "textarea", "select"].contains(&&*tag.name);
    page.tags.iter().filter(is_control).filter(|tag| tag.attribute("type") != Some("hidden"))
}

#[test]
fn no_text_changes_the_structure_of_a_page() {
    for (nasty, harmless) in every_page(NASTY).iter().zip(every_page("x")) {
        let (nasty, harmless) = (markup(nasty), markup(&harmless));
        let shapes = |page: &Markup| page.tags.iter().map(Tag::shape).collect::<Vec<_>>();
        assert_eq!(shapes(&nasty), shapes(&harmless));
        let fixed_text: String = nasty.text.replace(SHOWN, "x").replace(&format!("{SHOWN}; {SHOWN}"), "x; x");
        assert_eq!(fixed_text, harmless.text);
    }
}

#[test]
fn what_was_typed_comes_back_but_for_secrets() {
    let typed = typed(&INPUTS.map(|name| (name, NASTY)));
    let problems = problems_with_all("wrong");
    for page in form_pages(
        &Viewer::default(),
        400,
        &FormContent { typed: &typed, problems: &problems, ..FormContent::default() },
        "k",
    ) {
        let page = markup(&page);
        for control in controls(&page) {
            let expected = match control.attribute("name").unwrap() {
                "password" | "access_token" | "gender" | "value" => None,
                _ => Some(SHOWN),
            };
            assert_eq!(control.attribute("value"), expected, "{control:?}");
        }
        let areas = page.all("textarea").count();
        assert_eq!(page.text.matches(SHOWN).count(), areas, "the text of a textarea, and nothing else");
    }
}

#[test]
fn gender_that_was_chosen_is_still_chosen() {
    for (gender, _) in form::GENDERS {
        let typed = typed(&[("gender", gender)]);
        let page = markup(&form_page(
            &Viewer::default(),
            400,
            &REGISTER,
            &FormContent { typed: &typed, ..FormContent::default() },
        ));
        let selected: Vec<_> = page.all("option").filter(|o| o.attribute("selected").is_some()).collect();
        assert_eq!(selected.len(), 1);
        assert_eq!(selected[0].attribute("value"), Some(gender));
    }
}

#[test]
fn every_piece_of_every_template_is_on_some_page() {
    let pages = every_page("x");
    for (name, template) in TEMPLATES {
        for piece in template.split("{{").map(|tag| tag.split_once("}}").map_or(tag, |(_, behind)| behind)) {
            let piece = if template.ends_with(piece) { piece.trim_end_matches('\n') } else { piece };
            assert!(pages.iter().any(|page| body(page).contains(piece)), "{name}: {piece:?}");
        }
    }
}

#[test]
fn every_control_has_a_label_and_describes_itself_with_what_there_is() {
    for page in every_page("x") {
        let page = markup(&page);
        for control in controls(&page) {
            assert!(labelled(&page).contains(control.attribute("id").unwrap()), "{control:?}");
            for id in control.attribute("aria-describedby").unwrap_or_default().split_whitespace() {
                assert!(page.with_id(id).is_some(), "{control:?}");
            }
        }
        let ids: Vec<_> = page.tags.iter().filter_map(|tag| tag.attribute("id")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id occurs once");
        assert_eq!(page.all("h1").count(), 1);
        assert_eq!(page.all("main").count(), 1);
    }
}

#[test]
fn links_within_a_page_lead_somewhere() {
    for page in every_page("x") {
        let page = markup(&page);
        for target in page.all("a").filter_map(|a| a.attribute("href")?.strip_prefix('#')) {
            assert!(page.with_id(target).is_some(), "#{target}");
        }
    }
}

#[test]
fn a_signed_in_person_logs_out_with_a_form_that_is_posted() {
    for page in every_page("x") {
        let signed_in = markup(&page).text.contains("Signed in as");
        let page = markup(&page);
        let form = page.all("form").find(|form| form.attribute("action") == Some("/api/logout"));
        assert_eq!(form.map(|form| form.attribute("method")), signed_in.then_some(Some("post")));
        assert!(!page.all("a").any(|a| a.attribute("href") == Some("/api/logout")), "a link would be a GET");
    }
}

#[test]
fn pages_have_no_script_and_no_style_of_their_own() {
    for page in every_page("x") {
        for tag in markup(&page).tags {
            assert!(!["script", "style", "object", "iframe", "img"].contains(&&*tag.name), "{tag:?}");
            assert!(tag.attributes.iter().all(|(name, _)| name != "style" && !name.starts_with("on")));
        }
    }
}

#[test]
fn every_page_has_the_fields_that_protect_it() {
    for page in every_page("x") {
        let expected = Response::new(page.status())
            .field("content-type", "text/html; charset=utf-8")
            .field(
                "content-security-policy",
                "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
                 frame-ancestors 'none'; base-uri 'none'",
            )
            .field("x-frame-options", "DENY")
            .field("cross-origin-resource-policy", "same-origin")
            .field("referrer-policy", "no-referrer")
            .body(page.body_bytes().to_vec());
        assert_eq!(page, expected);
    }
}

#[test]
fn forms_may_tell_this_server_and_no_other_where_they_were() {
    for page in every_page("x") {
        let page = markup(&page);
        let policy = page.all("meta").find(|meta| meta.attribute("name") == Some("referrer"));
        assert_eq!(policy.and_then(|meta| meta.attribute("content")), Some("same-origin"));
    }
}

#[test]
fn failure_is_in_the_title_the_summary_and_at_the_field() {
    let problems = [
        Problem { field: "age", message: "Too low.".to_owned() },
        Problem { field: "age", message: "No number.".to_owned() },
        Problem { field: "gender", message: "Missing.".to_owned() },
    ];
    let page = form_page(
        &Viewer::default(),
        400,
        &REGISTER,
        &FormContent { problems: &problems, ..FormContent::default() },
    );
    assert_eq!(page.status(), 400);
    let page = markup(&page);
    assert!(page.text.contains("Error: Register - PiKV"));
    for shown in ["Age: Too low.", "Age: No number.", "Gender: Missing.", "Error: Too low. No number."] {
        assert!(page.text.contains(shown), "{shown}");
    }
    let targets: Vec<_> = page.all("a").filter_map(|a| a.attribute("href")?.strip_prefix('#')).collect();
    assert_eq!(targets, ["main", "age", "age", "gender"]);
    let age = page.with_id("age").unwrap();
    assert_eq!(age.attribute("aria-invalid"), Some("true"));
    assert_eq!(age.attribute("aria-describedby"), Some("age-hint age-error"));
    let focused: Vec<_> = page.tags.iter().filter(|tag| tag.attribute("autofocus").is_some()).collect();
    assert_eq!(focused, [age]);
    let main = page.tags.iter().position(|tag| tag.name == "main").unwrap();
    assert_eq!(page.tags[main + 1].attribute("role"), Some("alert"), "it comes first");
}

#[test]
fn problem_of_no_field_of_the_form_has_no_link_and_the_summary_is_focused() {
    for field in ["", "nickname"] {
        let problems = [Problem { field, message: "the password is wrong".to_owned() }];
        let page = markup(&form_page(
            &Viewer::default(),
            401,
            &LOGIN,
            &FormContent { problems: &problems, ..FormContent::default() },
        ));
        assert!(page.text.contains("the password is wrong"));
        assert_eq!(page.all("a").filter(|a| a.attribute("href").unwrap().starts_with('#')).count(), 1);
        let focused = page.tags.iter().find(|tag| tag.attribute("autofocus").is_some()).unwrap();
        assert_eq!(focused.attribute("role"), Some("alert"));
    }
}

#[test]
fn page_without_a_problem_focuses_nothing() {
    for page in form_pages(&Viewer::default(), 200, &FormContent::default(), "k") {
        assert!(!body(&page).contains("autofocus"));
        assert!(!body(&page).contains("Error"));
    }
}

#[test]
fn forms_go_where_the_routes_are() {
    let pages = form_pages(&Viewer::default(), 200, &FormContent::default(), "k");
    let mut forms: Vec<_> = pages
        .iter()
        .map(|page| {
            let page = markup(page);
            let form = page.all("form").next().unwrap();
            let names = controls(&page).map(|control| control.attribute("name"));
            let words = [form.attribute("method"), form.attribute("action")].into_iter().chain(names);
            words.map(Option::unwrap).collect::<Vec<_>>().join(" ")
        })
        .collect();
    forms.dedup();
    assert_eq!(
        forms,
        [
            "post /api/register username email password full_name age gender",
            "post /api/token username password",
            "post /api/login username password access_token",
            "post /api/data key value",
            "get /api/data/retrieve key",
            "post /api/data/update key value",
            "post /api/data/delete key",
        ]
    );
}

#[test]
fn keys_and_cursors_are_encoded_in_links() {
    let keys = keys(&["a/b c&d=é+%", "retrieve", NASTY]);
    let content = FormContent { keys: &keys, next: Some("c+/="), ..FormContent::default() };
    let page = markup(&form_page(&Viewer::default(), 200, &RETRIEVE, &content));
    let links: Vec<_> = page.all("a").filter_map(|a| a.attribute("href")).collect();
    for key in &keys {
        let link =
            links.iter().find(|link| **link == format!("/api/data/retrieve?key={}", encode_query(key)));
        assert!(link.is_some(), "{key}");
    }
    assert!(links.contains(&"/api/data/retrieve?key=a%2Fb%20c%26d%3D%C3%A9%2B%25"));
    assert!(links.contains(&"/api/data/retrieve?cursor=c%2B%2F%3D"));
}

#[test]
fn empty_value_is_a_value() {
    let content = FormContent { found: Some(("k", "")), ..FormContent::default() };
    let page = form_page(&Viewer::default(), 200, &RETRIEVE, &content);
    assert!(markup(&page).text.contains("Value of k"));
    let none = form_page(&Viewer::default(), 200, &RETRIEVE, &FormContent::default());
    assert!(markup(&none).text.contains("No keys to list."));
}

#[test]
fn line_breaks_at_the_start_of_a_value_are_kept() {
    // HTML ignores a line break right after these start tags.
    let content = FormContent { found: Some(("k", "\nv")), ..FormContent::default() };
    let page = form_page(&Viewer::default(), 200, &RETRIEVE, &content);
    assert!(body(&page).contains("<pre>\n\nv</pre>"));
    let typed = typed(&[("value", "\nv")]);
    let page =
        form_page(&Viewer::default(), 400, &STORE, &FormContent { typed: &typed, ..FormContent::default() });
    assert!(body(&page).contains(">\n\nv</textarea>"));
}

#[test]
fn links_depend_on_the_viewer_and_mark_the_page() {
    let signed_in = Viewer { signed_in_as: Some("ada".to_owned()), ..Viewer::default() };
    let inside = markup(&form_page(&signed_in, 200, &UPDATE, &FormContent::default()));
    let here: Vec<_> = inside.all("a").filter(|a| a.attribute("aria-current").is_some()).collect();
    assert_eq!(here.len(), 1);
    assert_eq!(here[0].attribute("href"), Some("/api/data/update"));
    assert!(inside.text.contains("Signed in as ada"));
    let links = |page: &Markup| page.all("a").any(|a| a.attribute("href") == Some("/dashboard"));
    let outside = markup(&form_page(&Viewer::default(), 200, &LOGIN, &FormContent::default()));
    assert!(links(&inside) && !links(&outside));
    assert!(!outside.text.contains("Signed in"));
}

#[test]
fn only_ways_in_that_there_are_are_offered() {
    for (auth_links, login_links, register_links) in
        [(AuthLinks::LogInOrRegister, 2, 2), (AuthLinks::LogIn, 2, 0), (AuthLinks::Nothing, 0, 0)]
    {
        let page = markup(&problem(&Viewer { auth_links, ..Viewer::default() }, 404, "gone"));
        let count = |path: &str| page.all("a").filter(|a| a.attribute("href") == Some(path)).count();
        assert_eq!(
            (count("/api/login"), count(REGISTER_PATH)),
            (login_links, register_links),
            "{auth_links:?}"
        );
        assert_eq!(page.all("nav").count(), usize::from(auth_links != AuthLinks::Nothing), "{auth_links:?}");
    }
    let viewer = Viewer { auth_links: AuthLinks::LogIn, ..Viewer::default() };
    let closed = markup(&form_page(&viewer, 200, &LOGIN, &FormContent::default()));
    assert!(closed.all("a").all(|a| a.attribute("href") != Some(REGISTER_PATH)));
    assert!(closed.text.contains("Ask the administrator for an account."), "{}", closed.text);
}

#[test]
fn dashboard_links_to_everything() {
    let page = markup(&dashboard(&Viewer::default()));
    let links: BTreeSet<_> = page.all("a").filter_map(|a| a.attribute("href")).collect();
    for (target, _) in LINKS_SIGNED_IN.iter().filter(|(target, _)| *target != DASHBOARD_PATH) {
        assert!(links.contains(target), "{target}");
    }
}

#[test]
fn token_page_shows_how_long_it_is_valid() {
    for (seconds, shown) in [(3600, "60 minutes"), (60, "1 minute"), (90, "90 seconds"), (1, "1 second")] {
        let page = markup(&token_created(&Viewer::default(), "a.b.c", seconds));
        assert!(page.text.contains(&format!("valid for {shown} and")), "{seconds}");
        assert!(page.text.contains("a.b.c"));
        assert!(page.all("textarea").all(|area| area.attribute("readonly").is_some()));
    }
}

#[test]
fn other_failures_name_the_status_and_a_way_back() {
    let page = problem(&Viewer::default(), 403, "the form is too old");
    assert_eq!(page.status(), 403);
    let page = markup(&page);
    for shown in ["Error: Forbidden - PiKV", "the form is too old", "HTTP status 403"] {
        assert!(page.text.contains(shown), "{shown}");
    }
    assert!(page.all("a").any(|a| a.attribute("href") == Some("/api/login")));
}

#[test]
fn stylesheet_is_the_one_that_pages_link_to() {
    let style = stylesheet();
    assert_eq!(style.status(), 200);
    assert!(body(&style).contains("prefers-color-scheme: dark"));
    for page in every_page("x") {
        let page = markup(&page);
        let sheets: Vec<_> = page.all("link").filter(|l| l.attribute("rel") == Some("stylesheet")).collect();
        assert_eq!(sheets.len(), 1);
        assert_eq!(sheets[0].attribute("href"), Some(STYLESHEET_PATH));
    }
}

/// The custom properties of the scheme that `part` of the stylesheet sets.
fn colour(part: &str, name: &str) -> [f64; 3] {
    let (_, behind) = part.split_once(&format!("--{name}: #")).unwrap();
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&behind[at..at + 2], 16).unwrap()) / 255.0)
}

/// WCAG 2.2, "relative luminance".
fn luminance(colour: [f64; 3]) -> f64 {
    let [r, g, b] = colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[test]
fn colours_have_the_contrast_of_wcag_aa_in_both_schemes() {
    let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
    let pairs =
        [("ink", "paper", 4.5), ("quiet", "paper", 4.5), ("link", "paper", 4.5), ("wrong", "paper", 4.5)];
    let more = [("ink", "panel", 4.5), ("line", "paper", 3.0), ("done", "paper", 3.0)];
    for scheme in [light, dark] {
        for (front, back, least) in pairs.iter().chain(&more) {
            let (a, b) = (luminance(colour(scheme, front)), luminance(colour(scheme, back)));
            let ratio = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(ratio >= *least, "{front} on {back}: {ratio:.2}");
        }
    }
}
