use super::*;

/// Renders `template` with `values`; `{{>part}}` is `<{{name}}>`.
fn rendered(template: &'static str, values: &Values<'_>) -> String {
    render(&[("page", template), ("part", "<{{name}}>\n")], "page", values)
}

fn check(template: &'static str, values: &Values<'_>, expected: &str) {
    assert_eq!(rendered(template, values), expected, "{template}");
}

#[test]
fn texts_are_escaped() {
    check("{{a}}", &vec![("a", text("&<>\"'`="))], "&amp;&lt;&gt;&quot;&#39;&#96;&#61;");
    check("{{a}}", &vec![("a", text("tab\tline\nü\u{2028}"))], "tab\tline\nü\u{2028}");
}

#[test]
fn characters_that_html_forbids_are_replaced() {
    for forbidden in
        ['\0', '\u{8}', '\u{B}', '\u{1B}', '\u{7F}', '\u{9F}', '\u{FDD0}', '\u{FFFE}', '\u{10FFFF}']
    {
        check("{{a}}", &vec![("a", text(forbidden.to_string()))], "\u{FFFD}");
    }
}

#[test]
fn values_are_not_read_as_templates() {
    let values = vec![("a", text("{{b}}{{#b}}{{>part}}{{/b}}")), ("b", text("secret"))];
    check("{{a}}", &values, "{{b}}{{#b}}{{&gt;part}}{{/b}}");
}

#[test]
fn sections_are_rendered_for_nonempty_values() {
    for (value, is_there) in [
        (text("x"), true),
        (text(""), false),
        (Value::Flag(true), true),
        (Value::Flag(false), false),
        (Value::List(vec![Vec::new()]), true),
        (Value::List(Vec::new()), false),
    ] {
        let expected = if is_there { "1 yes 2" } else { "1 no 2" };
        check("1 {{#a}}yes{{/a}}{{^a}}no{{/a}} 2", &vec![("a", value)], expected);
    }
}

#[test]
fn items_of_a_list_shadow_what_is_around_them() {
    let items = vec![vec![("name", text("inner"))], Vec::new()];
    let values = vec![("items", Value::List(items)), ("name", text("outer"))];
    check("{{#items}}{{name}} {{/items}}{{name}}", &values, "inner outer outer");
    check("{{#items}}{{>part}}{{/items}}{{>part}}", &values, "<inner><outer><outer>");
}

#[test]
fn sections_nest_also_in_themselves_and_when_left_out() {
    let on = vec![("a", Value::Flag(true)), ("b", Value::Flag(false)), ("name", text("n"))];
    check("{{#a}}[{{#a}}{{#b}}{{name}}{{/b}}{{/a}}]{{/a}}.", &on, "[].");
    check("{{#b}}{{#b}}{{#gone}}{{gone}}{{>gone}}{{/gone}}{{/b}}x{{/b}}.", &on, ".");
    check("{{^b}}{{^b}}{{name}}{{/b}}{{/b}}.", &on, "n.");
}

#[test]
fn one_line_break_at_the_end_of_a_template_is_the_files() {
    check("a\n", &Vec::new(), "a");
    check("a\n\n", &Vec::new(), "a\n");
    check("{{>part}}", &vec![("name", text("\n"))], "<\n>");
}

#[test]
fn optional_is_a_list_of_one_or_none() {
    check("{{#a}}{{b}}{{/a}}", &vec![("a", optional(Some(vec![("b", text("x"))])))], "x");
    check("{{#a}}{{b}}{{/a}}", &vec![("a", optional(None))], "");
}

#[test]
#[should_panic(expected = "a template names `a`, which has no value")]
fn missing_name_panics() {
    rendered("{{a}}", &vec![("b", text(""))]);
}

#[test]
#[should_panic(expected = "`a` is no text")]
fn flag_is_not_shown_as_a_text() {
    rendered("{{a}}", &vec![("a", Value::Flag(true))]);
}

#[test]
#[should_panic(expected = "a section of a template is not closed")]
fn open_section_panics() {
    rendered("{{#a}}", &vec![("a", Value::Flag(true))]);
}

#[test]
#[should_panic(expected = "this tag closes the innermost open section")]
fn crossed_sections_panic() {
    rendered("{{#a}}{{#b}}{{/a}}{{/b}}", &vec![("a", Value::Flag(true)), ("b", Value::Flag(true))]);
}

#[test]
#[should_panic(expected = "there is no template `gone`")]
fn missing_part_panics() {
    rendered("{{>gone}}", &Vec::new());
}
